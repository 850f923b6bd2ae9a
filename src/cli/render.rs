//! `tidegate render`.

use anyhow::ensure;
use serde_json::Value;

use super::{args::RenderArgs, exit::Exit, failure::hinted, folder, output};
use crate::render::{Wanted, object, yaml};

pub(super) fn run(args: &RenderArgs) -> anyhow::Result<Exit> {
    let survey = folder::survey(&args.folder)?;
    let mut faults = Vec::new();
    let mut objects: Vec<Value> = Vec::new();
    let mut found = false;
    for (name, wanted) in &survey.rollouts {
        // As on the hub: a bare name is found in whichever namespace it is.
        let is_meant = |only: &String| *only == name.to_string() || *only == name.name;
        if args.rollout.as_ref().is_some_and(|only| !is_meant(only)) {
            continue;
        }
        found = true;
        if let Ok(wanted) = wanted {
            objects.extend(rendered(wanted));
        }
        faults.extend(survey.faults(name));
    }
    if !found {
        let known: Vec<String> = survey.rollouts.keys().map(ToString::to_string).collect();
        let message = match &args.rollout {
            Some(name) => format!("`{}` has no Rollout `{name}`", args.folder.display()),
            None => format!("`{}` has no Rollout", args.folder.display()),
        };
        return Err(hinted(
            message,
            format!("there is {}", if known.is_empty() { "none".into() } else { known.join(", ") }),
        ));
    }
    output::write(yaml::yaml(&objects)?.as_bytes())?;
    for fault in &faults {
        anstream::eprintln!("{fault}");
    }
    let count = faults.len();
    let plural = if count == 1 { "" } else { "s" };
    ensure!(count == 0, "{count} fault{plural}; what could be rendered is above");
    Ok(Exit::Done)
}

/// What is the same for every commit: content, strategy, placement. Runs carry a commit and an index, which only a hub knows.
fn rendered(wanted: &Wanted) -> Vec<Value> {
    let content = wanted.content.iter().map(object::content);
    let strategies = wanted.strategies().map(object::strategy);
    let placement = wanted.placement.as_ref().map(object::content);
    content.chain(strategies).chain(placement).collect()
}
