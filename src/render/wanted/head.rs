//! The Rollouts of a repository, each read for itself.

use super::Survey;
use crate::{
    api::kind,
    manifest::Manifest,
    model::ObjectName,
    render::{Fault, Intent, Parsed, Problem, Repository, intent::intent, repository::Purpose},
};

/// A Rollout's file.
pub(super) struct Head<'a> {
    pub(super) name: ObjectName,
    pub(super) manifest: &'a Manifest,
    pub(super) file: &'a Parsed,
    pub(super) intent: Result<Intent, Vec<Fault>>,
    pub(super) content_path: Result<String, Fault>,
}

/// Finds every Rollout of the repository.
pub(super) fn heads<'a>(repository: &'a Repository, survey: &mut Survey) -> Vec<Head<'a>> {
    let mut heads: Vec<Head<'a>> = Vec::new();
    for (manifest, file) in repository.objects() {
        if Purpose::of(&manifest.key.group, &manifest.key.kind) != Purpose::Rollout {
            continue;
        }
        let name = ObjectName {
            namespace: manifest.key.namespace.clone(),
            name: manifest.key.name.clone(),
        };
        let fault = |problem: Problem| problem.in_file(manifest, &file.bytes);
        let mut read = intent(&manifest.object)
            .map_err(|problems| problems.into_iter().map(fault).collect::<Vec<_>>());
        if manifest.api_version() != kind::ROLLOUT.api_version() {
            let problem = Problem::new("/apiVersion", "this version of Rollout is not known")
                .with_hint(format!("use {}", kind::ROLLOUT.api_version()));
            read = Err(vec![fault(problem)]);
        }
        if let Some(first) = heads.iter_mut().find(|head| head.name == name) {
            let detail = format!("{} stands in {} already", manifest.key, first.manifest.place);
            let twice = Fault::new(manifest.place.clone(), detail);
            survey.notes.push(twice.clone());
            // Which of them is meant? Neither rolls out until one is gone.
            first.intent = Err(vec![twice]);
            continue;
        }
        let relative = read.as_ref().map_or("", |intent| intent.manifests.as_str());
        let content_path = content_path(&manifest.place.path, relative)
            .map_err(|detail| fault(Problem::new("/spec/manifests", detail)));
        heads.push(Head { name, manifest, file, intent: read, content_path });
    }
    heads
}

/// Resolves a path relative to a file. `..` may not leave the repository.
pub(super) fn content_path(file: &str, relative: &str) -> Result<String, String> {
    if relative.starts_with('/') {
        return Err(format!("`{relative}` is absolute: paths are relative to the Rollout's file"));
    }
    let mut parts: Vec<&str> = file.split('/').collect();
    parts.pop();
    for part in relative.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop().ok_or_else(|| format!("`{relative}` leaves the repository"))?;
            }
            part => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}

/// Returns the folder that a file stands in.
pub(super) fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}
