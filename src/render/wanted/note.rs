//! What stands in a repository and means nothing.

use std::collections::BTreeSet;

use super::{Survey, head::Head};
use crate::{
    api::kind,
    model::ObjectKey,
    render::{
        Fault, Problem, Repository, StrategyChoice,
        nearest::nearest,
        repository::{Purpose, is_under},
    },
};

/// Notes what is in the repository and means nothing to us.
pub(super) fn ignored(repository: &Repository, heads: &[Head<'_>], survey: &mut Survey) {
    let used: BTreeSet<&ObjectKey> = survey
        .rollouts
        .values()
        .flatten()
        .flat_map(|wanted| wanted.strategies().chain(&wanted.placement))
        .map(|manifest| &manifest.key)
        .collect();
    let mut notes = Vec::new();
    for (manifest, _) in repository.objects() {
        let note = match Purpose::of(&manifest.key.group, &manifest.key.kind) {
            Purpose::Rollout | Purpose::Approval => continue,
            Purpose::Strategy | Purpose::Placement if used.contains(&manifest.key) => continue,
            Purpose::Strategy | Purpose::Placement => "no Rollout names it",
            Purpose::Machinery => "objects of this kind are made on the hub, not in Git",
            Purpose::Content => {
                let path = &manifest.place.path;
                let within = |head: &Head<'_>| {
                    head.content_path.as_ref().is_ok_and(|content| is_under(path, content))
                };
                if repository.may_be_content(path) && heads.iter().any(within) {
                    continue;
                }
                "it is under no Rollout's manifests"
            }
        };
        notes.push(Fault::new(
            manifest.place.clone(),
            format!("{} is ignored: {note}", manifest.key),
        ));
    }
    notes.extend(heads.iter().flat_map(|head| elsewhere(head, repository, survey)));
    survey.notes.extend(notes);
}

/// Notes what a Rollout names and the repository has not: it has to be on the hub already.
fn elsewhere(head: &Head<'_>, repository: &Repository, survey: &Survey) -> Vec<Fault> {
    let Some(Ok(wanted)) = survey.rollouts.get(&head.name) else { return Vec::new() };
    let (scope, intent) = (&wanted.scope, &wanted.intent);
    let mut named = Vec::new();
    if let StrategyChoice::Named(name) = &intent.strategy {
        named.push(("/spec/strategyName", kind::strategy(scope), name));
    }
    if let Some(name) = &intent.rollback_strategy {
        named.push(("/spec/rollback/strategyName", kind::strategy(scope), name));
    }
    named.push(("/spec/placementName", kind::placement(scope), &intent.placement));
    let mut notes = Vec::new();
    for (pointer, kind, name) in named {
        let here: Vec<&str> = repository
            .objects()
            .map(|(manifest, _)| &manifest.key)
            .filter(|key| **key == kind.key(scope, &key.name))
            .map(|key| key.name.as_str())
            .collect();
        if here.contains(&name.as_str()) {
            continue;
        }
        let detail = format!("{} `{name}` is not in this repository", kind.name);
        let hint = match nearest(name, &here) {
            Some(near) => format!("it has to be on the hub; or did you mean `{near}`?"),
            None => "it has to be on the hub".to_owned(),
        };
        let problem = Problem::new(pointer, detail).with_hint(hint);
        notes.push(problem.in_file(head.manifest, &head.file.bytes));
    }
    notes
}
