//! How far a source was read, and for whom: what the daemon writes down of it, and what may be concluded for one Rollout.
//!
//! A commit that changes nothing for a Rollout costs it nothing, so its own status never tells of that commit. The source
//! does: once a tip, for all of them.

use std::collections::{BTreeMap, BTreeSet};

use crate::api::source::{Reading, SourceStatus};

/// More commits than this are not remembered …
pub const COMMITS_KEPT: usize = 200;
/// … nor are more names of Rollouts, those of the newest reading apart.
const NAMES_KEPT: usize = 2_000;

/// What a source says of a commit, for one Rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// The commit was not read yet, or so long ago that nobody remembers.
    Unknown,
    /// It was read, and the Rollout was not looked at since something in it, or before it, may have changed what it wants.
    Owed,
    /// The Rollout's status is as the commit wants it, or a later one.
    Taken {
        /// Whether the reading that brought the commit may have changed something for the Rollout.
        concerned: bool,
    },
}

impl Reading {
    fn has(&self, commit: &str) -> bool {
        self.commit.starts_with(commit) || self.passed.iter().any(|held| held.starts_with(commit))
    }

    fn concerns(&self, rollout: &str) -> bool {
        self.rollouts.as_ref().is_none_or(|names| names.iter().any(|name| name == rollout))
    }
}

/// Returns what a source says of a commit, of which the first digits will do, for a Rollout that has accepted `accepted`.
pub fn word(source: &SourceStatus, rollout: &str, accepted: &str, commit: &str) -> Word {
    let readings = &source.readings;
    let Some(at) = readings.iter().position(|reading| reading.has(commit)) else {
        return Word::Unknown;
    };
    // A Rollout that was looked at before all that is remembered owes nothing of what was before: `note` sees to that.
    let seen = readings.iter().position(|reading| reading.commit == accepted);
    let since = at..seen.unwrap_or(readings.len()).max(at);
    match readings[since].iter().any(|reading| reading.concerns(rollout)) {
        true => Word::Owed,
        false => Word::Taken { concerned: readings[at].concerns(rollout) },
    }
}

/// Puts a reading before the others, and forgets what is too old. `accepted` tells what every Rollout of the source has
/// accepted; it is asked only when something is forgotten: a Rollout that was not looked at for it stays owed.
pub fn note(
    readings: &mut Vec<Reading>,
    mut new: Reading,
    accepted: impl Fn() -> BTreeMap<String, String>,
) {
    let surplus = new.passed.len().saturating_sub(COMMITS_KEPT - 1);
    new.passed.drain(..surplus);
    readings.insert(0, new);
    let mut known = None;
    while is_too_much(readings) {
        let Some(forgotten) = readings.pop() else { return };
        let known = known.get_or_insert_with(&accepted);
        let names = forgotten.rollouts.unwrap_or_else(|| known.keys().cloned().collect());
        let is_owed = |name: &String| {
            let took = |commit: &String| known.get(name) == Some(commit);
            !took(&forgotten.commit) && !readings.iter().any(|kept| took(&kept.commit))
        };
        let owed: Vec<String> = names.into_iter().filter(is_owed).collect();
        if let Some(oldest) = readings.last_mut()
            && let Some(names) = &mut oldest.rollouts
        {
            let held: BTreeSet<String> = names.iter().cloned().collect();
            names.extend(owed.into_iter().filter(|name| !held.contains(name)));
        }
    }
}

fn is_too_much(readings: &[Reading]) -> bool {
    let commits: usize = readings.iter().map(|reading| 1 + reading.passed.len()).sum();
    let older = readings.iter().skip(1);
    let names: usize = older.map(|reading| reading.rollouts.as_ref().map_or(0, Vec::len)).sum();
    readings.len() > 1 && (commits > COMMITS_KEPT || names > NAMES_KEPT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(commit: &str, passed: &[&str], rollouts: Option<&[&str]>) -> Reading {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Reading { commit: commit.into(), passed: texts(passed), rollouts: rollouts.map(texts) }
    }

    /// Newest first: `e` is of interest to nobody, `d` to web, `c` to api with `b` on the way, `a` to all.
    fn source() -> SourceStatus {
        let readings = vec![
            reading("eeeeeee5", &[], Some(&[])),
            reading("ddddddd4", &[], Some(&["default/web"])),
            reading("ccccccc3", &["bbbbbbb2"], Some(&["default/api"])),
            reading("aaaaaaa1", &[], None),
        ];
        SourceStatus { readings, ..SourceStatus::default() }
    }

    #[test]
    fn what_a_source_says_of_a_commit_depends_on_what_the_rollout_has_accepted() {
        let (nothing, something) =
            (Word::Taken { concerned: false }, Word::Taken { concerned: true });
        for (rollout, accepted, commit, want) in [
            // Neither the commit that was looked at for it, nor the one that came on the way …
            ("default/web", "aaaaaaa1", "ccccccc", nothing),
            ("default/web", "aaaaaaa1", "bbbbbbb", nothing),
            // … but what comes after one that it was not looked at for yet is owed like that one itself.
            ("default/web", "aaaaaaa1", "ddddddd4", Word::Owed),
            ("default/web", "aaaaaaa1", "eeeeeee5", Word::Owed),
            ("default/web", "ddddddd4", "ddddddd4", something),
            ("default/web", "ddddddd4", "eeeeeee5", nothing),
            // A later look takes up what was before.
            ("default/api", "aaaaaaa1", "bbbbbbb2", Word::Owed),
            ("default/api", "ddddddd4", "bbbbbbb2", something),
            // A commit on the way was never looked at by itself: it is no proof of having seen the tip.
            ("default/api", "bbbbbbb2", "ccccccc3", Word::Owed),
            // Looked at last before all that is remembered, or at a tip that is not told yet.
            ("default/web", "0000000", "aaaaaaa1", Word::Owed),
            ("default/web", "fffffff6", "eeeeeee5", Word::Owed),
            ("default/web", "aaaaaaa1", "fffffff", Word::Unknown),
        ] {
            let said = word(&source(), rollout, accepted, commit);
            assert_eq!(said, want, "{rollout} at {accepted}, of {commit}");
        }
        let mut later = source();
        later.readings.truncate(3);
        let said = |rollout, commit| word(&later, rollout, "aaaaaaa1", commit);
        assert_eq!(
            said("default/other", "eeeeeee"),
            nothing,
            "it was looked at before, and never since"
        );
        assert_eq!(said("default/web", "ccccccc"), nothing);
        assert_eq!(said("default/web", "eeeeeee"), Word::Owed);
    }

    #[test]
    fn so_much_is_remembered_and_no_more() {
        let mut readings = Vec::new();
        let none = BTreeMap::new;
        for number in 0..COMMITS_KEPT {
            note(&mut readings, reading(&format!("{number:08}"), &[], Some(&[])), none);
        }
        assert_eq!(readings.len(), COMMITS_KEPT);
        let passed: Vec<String> =
            (0..COMMITS_KEPT * 2).map(|number| format!("p{number:07}")).collect();
        let passed: Vec<&str> = passed.iter().map(String::as_str).collect();
        note(&mut readings, reading("tip", &passed, Some(&[])), none);
        assert_eq!(readings.len(), 1);
        assert_eq!(readings[0].passed.len(), COMMITS_KEPT - 1);
        assert_eq!(readings[0].passed.last().map(String::as_str), passed.last().copied());
        // One commit may concern more than that: it is not told by halves.
        let many: Vec<String> =
            (0..NAMES_KEPT + 1).map(|number| format!("default/r{number}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        note(&mut readings, reading("one", &[], Some(&many)), none);
        note(&mut readings, reading("two", &[], Some(&many)), none);
        let commits: Vec<&str> = readings.iter().map(|reading| reading.commit.as_str()).collect();
        assert_eq!(commits, ["two"]);
        assert_eq!(readings[0].rollouts.as_ref().map(Vec::len), Some(many.len()));
    }

    /// Whoever was not looked at for a commit is not said to have taken it up because the commit is forgotten.
    #[test]
    fn what_is_owed_is_owed_when_its_commit_is_forgotten() {
        for first in [None, Some(&["default/web", "default/api"][..])] {
            let accepted = || {
                let held = [("default/web", "before"), ("default/api", "first")];
                held.map(|(name, commit)| (name.to_owned(), commit.to_owned())).into()
            };
            let mut source = SourceStatus::default();
            note(&mut source.readings, reading("first", &[], first), accepted);
            for number in 0..COMMITS_KEPT {
                let new = reading(&format!("later{number}"), &[], Some(&[]));
                note(&mut source.readings, new, accepted);
            }
            assert!(!source.readings.iter().any(|reading| reading.commit == "first"));
            let said = |rollout, accepted| word(&source, rollout, accepted, "later0");
            assert_eq!(said("default/web", "before"), Word::Owed, "{first:?}");
            assert_eq!(said("default/web", "later7"), Word::Taken { concerned: true }, "{first:?}");
            assert_eq!(said("default/api", "first"), Word::Taken { concerned: false }, "{first:?}");
        }
    }
}
