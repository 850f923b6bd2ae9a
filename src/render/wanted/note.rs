//! What stands in a repository and means nothing.

use std::collections::BTreeSet;

use super::{Survey, head::Head};
use crate::{
    model::ObjectKey,
    render::{
        Fault, Repository,
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
    survey.notes.extend(notes);
}
