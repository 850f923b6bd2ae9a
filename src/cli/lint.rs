//! `tidegate lint`.

use super::{args::LintArgs, exit::Exit, folder, output};

pub(super) fn run(args: &LintArgs) -> anyhow::Result<Exit> {
    let survey = folder::survey(&args.folder)?;
    let faults = survey.rollouts.values().filter_map(|result| result.as_ref().err()).flatten();
    let mut faults: Vec<String> =
        survey.unreadable.iter().chain(faults).map(ToString::to_string).collect();
    faults.sort();
    faults.dedup();
    for fault in &faults {
        output::write(format!("{fault}\n").as_bytes())?;
    }
    let good = survey.rollouts.values().filter(|result| result.is_ok()).count();
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
    let plural = |count: usize| if count == 1 { "" } else { "s" };
    let (r, f) = (plural(rollouts), plural(faults.len()));
    anstream::eprintln!("{good} of {rollouts} Rollout{r} good, {} fault{f}", faults.len());
    Ok(if faults.is_empty() { Exit::Done } else { Exit::Failed })
}
