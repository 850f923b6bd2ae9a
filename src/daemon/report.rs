//! What the hub is told of a source: how far it was read, for whom, and what it was refused.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::json;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{
    api::{
        kind, meta,
        source::{Reading, Refused, SourceSpec, SourceStatus},
    },
    git::Relation,
    hub::{Hub, HubError},
    model::{CommitId, Digest},
    sync::reading::note,
};

/// A report that could not be written is tried again after so long, later and later …
const RETRY: Duration = Duration::from_secs(1);
/// … but not later than this.
const RETRY_MAX: Duration = Duration::from_secs(300);
/// More refused Rollouts than this are not named.
const REFUSED_TOLD: usize = 100;

/// A new tip, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Read {
    pub(super) tip: CommitId,
    /// The commits between the tip that was read before and this one, oldest first; nothing when it does not follow on it.
    pub(super) passed: Option<Vec<CommitId>>,
}

impl Read {
    /// Returns what there is to tell of a tip that stands so to the one before.
    pub(super) fn of(tip: &CommitId, relation: Relation) -> Self {
        let passed = match relation {
            Relation::Ahead(commits) => {
                Some(commits.into_iter().filter(|commit| commit != tip).collect())
            }
            Relation::Same | Relation::Behind | Relation::Diverged => None,
        };
        Self { tip: tip.clone(), passed }
    }
}

/// What the hub has been told of a source, and what it is to be told.
pub(super) struct Report {
    spec: SourceSpec,
    /// What the hub had when the daemon began.
    found: SourceStatus,
    wanted: Mutex<SourceStatus>,
    changed: Notify,
}

impl Report {
    pub(super) fn new(spec: SourceSpec, found: Option<SourceStatus>) -> Self {
        let found = found.unwrap_or_default();
        Self { spec, wanted: Mutex::new(found.clone()), found, changed: Notify::new() }
    }

    fn wanted(&self) -> MutexGuard<'_, SourceStatus> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the newest tip that was read, by this process or one before it.
    pub(super) fn tip(&self) -> Option<CommitId> {
        self.wanted().commit.parse().ok()
    }

    /// Notes a tip, and the Rollouts that it concerns: nothing for all. `accepted` is as in [`note`].
    pub(super) fn read(
        &self,
        read: &Read,
        rollouts: Option<Vec<String>>,
        accepted: impl Fn() -> BTreeMap<String, String>,
        now: Timestamp,
    ) {
        let mut wanted = self.wanted();
        if read.passed.is_none() {
            // What was read before is not the history of what is there now.
            wanted.readings.clear();
        }
        let passed = read.passed.iter().flatten().map(ToString::to_string).collect();
        let reading = Reading { commit: read.tip.to_string(), passed, rollouts };
        note(&mut wanted.readings, reading, accepted);
        wanted.commit = read.tip.to_string();
        wanted.read_at = Some(Time(now));
        self.changed.notify_one();
    }

    /// Notes whether a Rollout belongs to another source, and to which.
    pub(super) fn refuse(&self, rollout: &str, owner: Option<&str>) {
        let mut wanted = self.wanted();
        let place = wanted.refused.binary_search_by(|held| held.rollout.as_str().cmp(rollout));
        match (place, owner) {
            (Ok(at), Some(owner)) if wanted.refused[at].owner == owner => return,
            (Ok(at), Some(owner)) => owner.clone_into(&mut wanted.refused[at].owner),
            (Ok(at), None) => drop(wanted.refused.remove(at)),
            (Err(at), Some(owner)) if wanted.refused.len() < REFUSED_TOLD => {
                let refused = Refused { rollout: rollout.to_owned(), owner: owner.to_owned() };
                wanted.refused.insert(at, refused);
            }
            (Err(_), _) => return,
        }
        self.changed.notify_one();
    }

    /// Forgets refused Rollouts of which there is none any more.
    pub(super) fn keep_refused(&self, is_there: impl Fn(&str) -> bool) {
        let mut wanted = self.wanted();
        let before = wanted.refused.len();
        wanted.refused.retain(|held| is_there(&held.rollout));
        if wanted.refused.len() != before {
            self.changed.notify_one();
        }
    }

    /// Writes what changes, until `stop`. Nobody waits for it: what is not told yet is told later.
    pub(super) async fn keep(&self, hub: &Hub, stop: &CancellationToken) {
        let mut told = self.found.clone();
        let mut wait = RETRY;
        loop {
            let wanted = self.wanted().clone();
            let pause = if wanted == told {
                wait = RETRY;
                None
            } else {
                match self.write(hub, &wanted).await {
                    Ok(()) => {
                        told = wanted;
                        continue;
                    }
                    Err(error) => {
                        if wait == RETRY {
                            let repository = &self.spec.repository;
                            tracing::warn!(%repository, %error, "the hub cannot be told how far the repository is read; `watch --commit` knows less");
                        }
                        let pause = wait;
                        wait = wait.saturating_mul(2).min(RETRY_MAX);
                        Some(pause)
                    }
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.changed.notified(), if pause.is_none() => {}
                () = tokio::time::sleep(pause.unwrap_or_default()), if pause.is_some() => {}
            }
        }
    }

    async fn write(&self, hub: &Hub, status: &SourceStatus) -> Result<(), HubError> {
        let object = json!({
            "apiVersion": kind::SOURCE.api_version(),
            "kind": kind::SOURCE.name,
            "metadata": {"name": name(&self.spec)},
            "spec": self.spec,
            "status": status,
        });
        hub.apply(&object, meta::GITOPS_MANAGER, true).await.map(drop)
    }
}

/// Returns the name of a source's object: the repository's, and what tells it from others of that name.
fn name(spec: &SourceSpec) -> String {
    let last = spec.repository.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let last = last.trim_end_matches(".git").to_ascii_lowercase();
    let words = last.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let mut name: String = words.collect::<Vec<_>>().join("-").chars().take(40).collect();
    let folder = spec.folder.as_deref().unwrap_or_default();
    let whole = [spec.repository.as_str(), spec.reference.as_str(), folder].join("\n");
    let digest = Digest::of(whole.as_bytes());
    if !name.is_empty() {
        name.push('-');
    }
    name + &digest.as_str()["sha256:".len()..][..12]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(repository: &str, reference: &str, folder: Option<&str>) -> SourceSpec {
        SourceSpec {
            repository: repository.into(),
            reference: reference.into(),
            folder: folder.map(str::to_owned),
        }
    }

    #[test]
    fn a_name_is_one_that_kubernetes_takes_and_of_one_source_only() {
        let long = format!("https://git.example.com/{}", "a-b".repeat(40));
        let mut names = std::collections::BTreeSet::new();
        for (repository, starts) in [
            ("https://git.example.com/team/My_Fleet.git", "my-fleet-"),
            ("https://git.example.com/other/My_Fleet.git", "my-fleet-"),
            ("/srv/fleet/", "fleet-"),
            ("/", ""),
            (long.as_str(), "a-ba-b"),
        ] {
            for (reference, folder) in [("main", None), ("main", Some("a")), ("a", None)] {
                let name = name(&spec(repository, reference, folder));
                assert!(name.starts_with(starts), "{name}");
                let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
                assert!(name.len() <= 63 && name.chars().all(fits), "{name}");
                assert!(names.insert(name), "{repository} {reference} {folder:?}");
            }
        }
    }

    #[test]
    fn what_is_refused_is_told_as_long_as_it_is() {
        let report = Report::new(spec("r", "main", None), None);
        let told = || -> Vec<String> {
            let wanted = report.wanted();
            wanted.refused.iter().map(|r| format!("{}: {}", r.rollout, r.owner)).collect()
        };
        report.refuse("default/web", Some("a main ."));
        report.refuse("default/api", Some("a main ."));
        report.refuse("default/web", Some("b main ."));
        report.refuse("default/other", None);
        assert_eq!(told(), ["default/api: a main .", "default/web: b main ."]);
        report.keep_refused(|rollout| rollout != "default/api");
        assert_eq!(told(), ["default/web: b main ."]);
        report.refuse("default/web", None);
        assert!(told().is_empty());
        for number in 0..REFUSED_TOLD + 1 {
            report.refuse(&format!("default/r{number}"), Some("a main ."));
        }
        assert_eq!(told().len(), REFUSED_TOLD);
    }
}
