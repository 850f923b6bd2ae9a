//! Whose fault an unreadable file is.

use std::collections::BTreeMap;

use super::{
    Survey,
    head::{Head, folder},
};
use crate::render::{
    Fault, Repository,
    repository::{Flaw, is_under, tool},
};

/// Blames each unreadable file on the Rollouts whose content it stands in, or else on those in whose folder it stands.
pub(super) fn blame(
    repository: &Repository,
    heads: &[Head<'_>],
    survey: &mut Survey,
) -> BTreeMap<usize, Vec<Fault>> {
    let mut broken: BTreeMap<usize, Vec<Fault>> = BTreeMap::new();
    for (path, file) in &repository.files {
        let Err(flaw) = &file.content else { continue };
        let within = |test: &dyn Fn(&Head<'_>) -> bool| {
            let found = heads.iter().enumerate().filter(|(_, head)| test(head));
            found.map(|(at, _)| at).collect::<Vec<_>>()
        };
        if !repository.may_be_content(path) {
            survey.notes.push(flaw.fault().clone());
            continue;
        }
        let mut blamed =
            within(&|head| head.content_path.as_ref().is_ok_and(|content| is_under(path, content)));
        if let Flaw::Unreadable(fault) = flaw {
            survey.unreadable.push(fault.clone());
            if blamed.is_empty() {
                blamed = within(&|head| {
                    let folder = folder(&head.manifest.place.path);
                    !folder.is_empty() && is_under(path, folder)
                });
            }
        }
        // That a tool's file is no object is told in better words with the content.
        let told = matches!(flaw, Flaw::Foreign(_)) && tool(path).is_some();
        for at in blamed.into_iter().filter(|_| !told) {
            broken.entry(at).or_default().push(flaw.fault().clone());
        }
    }
    broken
}
