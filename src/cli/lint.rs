//! `tidegate lint`.

use std::path::Path;

use super::{args::LintArgs, exit::Exit, folder, output};
use crate::{
    model::{Hint as _, ObjectName},
    render::{Fault, Repository},
    trust::{ALLOWED_SIGNERS_PATH, AllowedSigners, Approval},
};

pub(super) fn run(args: &LintArgs) -> anyhow::Result<Exit> {
    let (repository, left_out) = folder::read(&args.folder)?;
    let survey = crate::render::wanted(&repository);
    let faults = survey.rollouts.keys().flat_map(|name| survey.faults(name));
    let mut faults: Vec<String> =
        survey.unreadable.iter().chain(faults).map(ToString::to_string).collect();
    faults.extend(policy(&args.folder));
    faults.extend(approvals(&repository));
    faults.sort();
    faults.dedup();
    for fault in &faults {
        output::write(format!("{fault}\n").as_bytes())?;
    }
    let is_good = |name: &&ObjectName| survey.faults(name).next().is_none();
    let good = survey.rollouts.keys().filter(is_good).count();
    let rollouts = survey.rollouts.len();
    // What a Rollout with a fault would name is not known: nothing is called unused on its account.
    for note in survey.notes.iter().filter(|_| good == rollouts) {
        anstream::eprintln!("note: {note}");
    }
    if rollouts == 0 && faults.is_empty() {
        return Err(super::failure::hinted(
            format!("`{}` has no Rollout", args.folder.display()),
            "name the folder of the repository; a Rollout is a YAML document with apiVersion gitops.tidegate.dev/v1alpha1",
        ));
    }
    for note in left_out {
        anstream::eprintln!("note: {note}");
    }
    let plural = |count: usize| if count == 1 { "" } else { "s" };
    let (r, f) = (plural(rollouts), plural(faults.len()));
    anstream::eprintln!("{good} of {rollouts} Rollout{r} good, {} fault{f}", faults.len());
    Ok(if faults.is_empty() { Exit::Done } else { Exit::Failed })
}

/// What is wrong with who may approve: one bad line, and the daemon goes on with the file before.
fn policy(folder: &Path) -> Option<String> {
    let text = std::fs::read_to_string(folder.join(ALLOWED_SIGNERS_PATH)).ok()?;
    let error = AllowedSigners::parse(&text, ALLOWED_SIGNERS_PATH).err()?;
    Some(match error.hint() {
        Some(hint) => format!("{error} ({hint})"),
        None => error.to_string(),
    })
}

/// What is wrong with approvals that somebody wrote by hand.
fn approvals(repository: &Repository) -> impl Iterator<Item = String> {
    repository.approvals().filter_map(|manifest| {
        let error = Approval::read(&manifest.object).err()?;
        Some(Fault::new(manifest.place.clone(), error.to_string()).to_string())
    })
}
