//! A repository's files, read, and what each of its objects is for.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::Value;

use super::Fault;
use crate::{
    api::kind::{GITOPS_GROUP, PLACEMENT_GROUP},
    manifest::{
        Document, Limits, Manifest, Usage, decode,
        decode::{DecodeError, is_manifest},
        manifests,
    },
    model::Hint as _,
};

/// A file as it is in a commit.
#[derive(Clone, Debug)]
pub struct File {
    /// Path from the top of the repository.
    pub path: String,
    /// Content.
    pub bytes: Arc<[u8]>,
    /// Whether it has more bytes than are read of any file: then `bytes` has none of them.
    pub too_large: bool,
}

impl File {
    /// Returns a file that holds these bytes.
    pub fn new(path: impl Into<String>, bytes: impl Into<Arc<[u8]>>) -> Self {
        Self { path: path.into(), bytes: bytes.into(), too_large: false }
    }
}

/// A file, read. Depends on path and bytes alone: it can be kept from commit to commit.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// The bytes, for a second look at places.
    pub bytes: Arc<[u8]>,
    too_large: bool,
    /// The objects.
    pub content: Result<Vec<Manifest>, Flaw>,
}

/// Why a file has no objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// It cannot be read: nobody knows what it would say.
    Unreadable(Fault),
    /// It can be read, and holds no Kubernetes objects: a CI pipeline, values of a chart, anything.
    Foreign(Fault),
}

impl Flaw {
    /// Returns what is wrong.
    pub fn fault(&self) -> &Fault {
        match self {
            Self::Unreadable(fault) | Self::Foreign(fault) => fault,
        }
    }
}

impl Parsed {
    /// Reads a file.
    pub fn of(file: &File, limits: &Limits) -> Self {
        Self { bytes: file.bytes.clone(), too_large: file.too_large, content: read(file, limits) }
    }

    /// Returns the file that was read, which stands at `path`.
    pub fn file(&self, path: &str) -> File {
        File { path: path.to_owned(), bytes: self.bytes.clone(), too_large: self.too_large }
    }

    /// Returns whether this is what reading `file`, at the same path, would give.
    pub fn is_of(&self, file: &File) -> bool {
        self.too_large == file.too_large && self.bytes == file.bytes
    }
}

fn documents(file: &File, limits: &Limits) -> Result<Vec<Document>, DecodeError> {
    match file.too_large {
        true => Err(DecodeError::too_large(&file.path, limits)),
        false => decode(&file.path, &file.bytes, limits),
    }
}

fn read(file: &File, limits: &Limits) -> Result<Vec<Manifest>, Flaw> {
    let documents = documents(file, limits).map_err(|error| {
        let fault = Fault::new(error.place().clone(), bare(&error.to_string(), error.place()));
        Flaw::Unreadable(Fault { hint: error.hint(), ..fault })
    })?;
    let is_object =
        |value: &Value| value.get("apiVersion").is_some() && value.get("kind").is_some();
    let foreign = !documents.is_empty() && !documents.iter().any(|d| is_object(&d.value));
    let mut all = Vec::new();
    for document in documents {
        match manifests(document) {
            Ok(found) => all.extend(found),
            Err(error) => {
                let fault = Fault::new(error.place, error.detail);
                return Err(if foreign { Flaw::Foreign(fault) } else { Flaw::Unreadable(fault) });
            }
        }
    }
    Ok(all)
}

/// Returns an error's text without the place in front, which a [`Fault`] prints itself.
fn bare(text: &str, place: &crate::manifest::Place) -> String {
    text.strip_prefix(&format!("{place}: ")).unwrap_or(text).to_owned()
}

/// What an object of a repository is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Ties things together.
    Rollout,
    /// A signed approval.
    Approval,
    /// A staged update strategy.
    Strategy,
    /// A placement.
    Placement,
    /// Made by us or by Fleet, never from Git: runs, approval requests, snapshots, bindings, works.
    Machinery,
    /// Anything else: content, when it stands under a Rollout's manifests.
    Content,
}

impl Purpose {
    /// Returns what an object of this group and kind is for.
    pub fn of(group: &str, kind: &str) -> Self {
        match (group, kind) {
            (GITOPS_GROUP, "Rollout") => Self::Rollout,
            (GITOPS_GROUP, "Approval") => Self::Approval,
            (GITOPS_GROUP, _) => Self::Machinery,
            (PLACEMENT_GROUP, "ClusterStagedUpdateStrategy" | "StagedUpdateStrategy") => {
                Self::Strategy
            }
            (PLACEMENT_GROUP, "ClusterResourcePlacement" | "ResourcePlacement") => Self::Placement,
            (
                PLACEMENT_GROUP,
                "ClusterStagedUpdateRun"
                | "StagedUpdateRun"
                | "ClusterApprovalRequest"
                | "ApprovalRequest"
                | "ClusterResourceSnapshot"
                | "ResourceSnapshot"
                | "ClusterSchedulingPolicySnapshot"
                | "SchedulingPolicySnapshot"
                | "ClusterResourceBinding"
                | "ResourceBinding"
                | "Work"
                | "AppliedWork",
            ) => Self::Machinery,
            _ => Self::Content,
        }
    }
}

/// Folders, below the configured path, that are never content.
const NEVER_CONTENT: &[&str] = &["approvals/", "policy/"];

/// Returns whether a path, relative to the configured path, is approvals or policy: never content of a Rollout.
pub fn is_never_content(path: &str) -> bool {
    NEVER_CONTENT.iter().any(|folder| path.starts_with(folder))
}

/// All manifest files of a commit, below the configured path.
#[derive(Clone, Debug, Default)]
pub struct Repository {
    /// The configured path: empty, or ending in `/`.
    pub root: String,
    /// By path.
    pub files: BTreeMap<String, Arc<Parsed>>,
    /// Why files were left out, all limits taken together.
    pub excess: Option<Fault>,
}

/// Returns the tool that a file gives orders to, by its name: what it says is no object.
pub(super) fn tool(path: &str) -> Option<&'static str> {
    let name = path.rsplit('/').next().unwrap_or_default().to_lowercase();
    match name.as_str() {
        "kustomization.yaml" | "kustomization.yml" => Some("kustomize"),
        "chart.yaml" => Some("helm"),
        _ => None,
    }
}

/// Returns whether a file is read at all: a manifest by its name, not in a hidden folder.
pub fn is_read(path: &str) -> bool {
    is_manifest(path) && !path.split('/').any(|part| part.starts_with('.'))
}

impl Repository {
    /// Returns the repository of these files, reading each by `parse`, which may remember what it read before.
    pub fn of(
        root: &str,
        files: Vec<File>,
        limits: &Limits,
        mut parse: impl FnMut(&File) -> Arc<Parsed>,
    ) -> Self {
        let root = match root.trim_matches('/').trim_start_matches("./") {
            "" | "." => String::new(),
            path => format!("{path}/"),
        };
        let mut usage = Usage::new(*limits);
        let mut repository = Self { root, ..Self::default() };
        for file in files {
            // The configured folder may be a hidden one: whoever names it means it.
            if !file.path.strip_prefix(&repository.root).is_some_and(is_read) {
                continue;
            }
            if let Err(error) = usage.file(&file.path, file.bytes.len()) {
                repository.excess = Some(excess(&file.path, &error));
                break;
            }
            let parsed = parse(&file);
            let mut objects = parsed.content.iter().flatten();
            if let Some(Err(error)) =
                objects.find_map(|object| Some(usage.object(&object.place)).filter(Result::is_err))
            {
                repository.excess = Some(excess(&file.path, &error));
                break;
            }
            repository.files.insert(file.path, parsed);
        }
        repository
    }

    /// Returns every object that could be read, with its file, in the order of paths.
    pub fn objects(&self) -> impl Iterator<Item = (&Manifest, &Parsed)> {
        self.files.values().flat_map(|file| {
            file.content.iter().flatten().map(|manifest| (manifest, file.as_ref()))
        })
    }

    /// Returns the files at or under a path, in order.
    pub fn under<'a>(
        &'a self,
        path: &'a str,
    ) -> impl Iterator<Item = (&'a String, &'a Arc<Parsed>)> + 'a {
        self.files.iter().filter(move |(file, _)| is_under(file, path))
    }

    /// Returns whether a file can be content.
    pub fn may_be_content(&self, path: &str) -> bool {
        !is_never_content(path.strip_prefix(&self.root).unwrap_or(path))
    }

    /// Returns the signed approvals, in the order of paths.
    pub fn approvals(&self) -> impl Iterator<Item = &Manifest> {
        self.objects()
            .map(|(manifest, _)| manifest)
            .filter(|m| Purpose::of(&m.key.group, &m.key.kind) == Purpose::Approval)
    }
}

fn excess(path: &str, error: &crate::manifest::limit::LimitError) -> Fault {
    let place = crate::manifest::Place::file(path);
    let text = error.to_string();
    let bare = text.split_once(": ").map_or(text.as_str(), |(_, rest)| rest);
    Fault::new(place, bare).with_hint("point the source at a smaller path")
}

/// Returns whether `file` is `path` or stands below it; everything stands below the empty path.
pub fn is_under(file: &str, path: &str) -> bool {
    path.is_empty()
        || file == path
        || file.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'))
}
