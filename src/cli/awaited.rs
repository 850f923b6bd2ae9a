//! The commit that `watch` was asked to wait for: whether the daemon has taken it up, and why not.

use std::collections::BTreeMap;

use super::{
    find::full_name,
    status::{place, source_of},
};
use crate::{
    api::{
        Rollout, Source,
        condition::{Truth, truth},
        rollout::{RolloutStatus, SOURCE_VERIFIED},
        source::SourceStatus,
    },
    model::commit::short,
    sync::reading::{self, Word},
};

/// A commit, by its id or its first digits; or none, which is taken up from the beginning.
pub(super) struct Awaited<'a> {
    commit: Option<&'a str>,
    /// Sources by name, for as long as the commit is waited for.
    sources: BTreeMap<String, Source>,
    is_taken_up: bool,
}

impl<'a> Awaited<'a> {
    pub(super) fn new(commit: Option<&'a str>) -> Self {
        Self { commit, sources: BTreeMap::new(), is_taken_up: commit.is_none() }
    }

    /// Returns the commit, while it is waited for.
    pub(super) fn waited_for(&self) -> Option<&'a str> {
        self.commit.filter(|_| !self.is_taken_up)
    }

    pub(super) fn is_taken_up(&self) -> bool {
        self.is_taken_up
    }

    pub(super) fn hear_of(&mut self, source: Source) {
        self.sources.insert(source.metadata.name.clone().unwrap_or_default(), source);
    }

    /// Notes whether the commit is the newest one that the Rollout read, rolled out, or was. Returns a line when it changes
    /// nothing here.
    pub(super) fn look(&mut self, rollout: &Rollout, status: &RolloutStatus) -> Option<String> {
        let wanted = self.waited_for()?;
        let source = status.source.as_ref().map(|source| source.commit.as_str());
        let released = status.history.iter().map(|release| release.commit.as_str());
        let mut known = source.into_iter().chain(status.commit.as_deref()).chain(released);
        let concerned = match self.word(rollout) {
            _ if known.any(|commit| commit.starts_with(wanted)) => true,
            Some(Word::Taken { concerned }) => concerned,
            Some(Word::Owed | Word::Unknown) | None => return None,
        };
        self.is_taken_up = true;
        self.sources.clear();
        let line = || format!("commit {} changes nothing of {}", short(wanted), full_name(rollout));
        (!concerned).then(line)
    }

    /// Returns whether the daemon has read the commit, and must not follow it: history was rewritten.
    pub(super) fn is_held(&self, rollout: &Rollout, status: &RolloutStatus) -> bool {
        self.word(rollout) == Some(Word::Owed)
            && truth(&status.conditions, SOURCE_VERIFIED) == Some(Truth::False)
    }

    /// Returns why the commit may not come, while it is waited for.
    pub(super) fn why_late(&self, rollout: &Rollout) -> Option<String> {
        let commit = self.waited_for()?;
        let (place, name) = (place(rollout), full_name(rollout));
        let why = match (self.source(rollout), self.word(rollout)) {
            (Some(source), Some(Word::Unknown)) => format!(
                "{place} is read up to {}, and it is not among the newest commits there; is it pushed?",
                short(&source.commit)
            ),
            (Some(source), Some(Word::Owed)) => format!(
                "{place} is read up to {}, and {name} has not been looked at since",
                short(&source.commit)
            ),
            _ => {
                let recorded = rollout.status.as_ref().and_then(|status| status.source.as_ref());
                let read = recorded.map_or("no commit", |source| short(&source.commit));
                format!(
                    "what is known is as of {read}; is it pushed to {place}? Of a commit that changes nothing of {name} only `kubectl get sources` tells, and nothing is to be seen there"
                )
            }
        };
        Some(format!("still waiting for commit {}: {why}", short(commit)))
    }

    fn source(&self, rollout: &Rollout) -> Option<&SourceStatus> {
        source_of(rollout, self.sources.values())
    }

    /// Returns what the source says of the commit.
    fn word(&self, rollout: &Rollout) -> Option<Word> {
        let accepted = &rollout.status.as_ref()?.source.as_ref()?.commit;
        Some(reading::word(self.source(rollout)?, &full_name(rollout), accepted, self.commit?))
    }
}
