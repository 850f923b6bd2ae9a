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
    for note in &survey.notes {
        anstream::eprintln!("note: {note}");
    }
    let good = survey.rollouts.values().filter(|result| result.is_ok()).count();
    let (rollouts, plural) =
        (survey.rollouts.len(), if survey.rollouts.len() == 1 { "" } else { "s" });
    anstream::eprintln!("{good} of {rollouts} rollout{plural} good, {} fault(s)", faults.len());
    if rollouts == 0 {
        return Err(super::failure::hinted(
            format!("`{}` has no Rollout", args.folder.display()),
            "name the folder of the repository; a Rollout is a YAML document with apiVersion gitops.tidegate.dev/v1alpha1",
        ));
    }
    Ok(if faults.is_empty() { Exit::Done } else { Exit::Failed })
}
