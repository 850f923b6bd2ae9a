//! How commits stand to each other.

use std::collections::{HashMap, HashSet};

use super::{
    error::{Class, GitError},
    repository::{Repository, commit_id, object_id},
};
use crate::model::CommitId;

/// How a new tip stands to the old one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Relation {
    /// The same commit.
    Same,
    /// The new one contains the old one; these are the new commits, every commit after all its parents.
    Ahead(Vec<CommitId>),
    /// The old one contains the new one: the branch was set back.
    Behind,
    /// Neither contains the other: history was rewritten.
    Diverged,
}

/// A range of more commits than this is not walked.
const MAX_RANGE: usize = 50_000;

impl Repository {
    /// Says how `new` stands to `old`.
    ///
    /// # Errors
    /// When `new` is missing, a commit cannot be read, or the range is longer than 50,000 commits.
    pub fn relation(&self, old: &CommitId, new: &CommitId) -> Result<Relation, GitError> {
        if old == new {
            return Ok(Relation::Same);
        }
        let repository = self.open()?;
        let (old_id, new_id) = (object_id(old)?, object_id(new)?);
        repository.find_commit(new_id).map_err(|error| {
            let attempt = format!("cannot read commit {new}");
            GitError::because(Class::NoSuchCommit(new.clone()), attempt, &error)
        })?;
        if !repository.has_object(old_id) {
            // What was accepted is gone: whatever is there now is not its descendant.
            return Ok(Relation::Diverged);
        }
        let base = repository.merge_base(old_id, new_id).map_err(|error| {
            let attempt = format!("cannot compare {} with {}", old.short(), new.short());
            GitError::because(Class::Damaged, attempt, &error)
        })?;
        Ok(match base.map(gix::Id::detach) {
            Some(base) if base == old_id => Relation::Ahead(between(&repository, old_id, new_id)?),
            Some(base) if base == new_id => Relation::Behind,
            _ => Relation::Diverged,
        })
    }
}

/// Returns what is reachable from `tip` but not from its ancestor `base`.
fn between(
    repository: &gix::Repository,
    base: gix::ObjectId,
    tip: gix::ObjectId,
) -> Result<Vec<CommitId>, GitError> {
    let attempt = || format!("cannot walk from {tip} to {base}");
    let damaged = |error: &(dyn std::error::Error + 'static)| {
        GitError::because(Class::Damaged, attempt(), error)
    };
    let walk =
        repository.rev_walk([tip]).with_hidden([base]).all().map_err(|error| damaged(&error))?;
    let mut parents = HashMap::new();
    for info in walk {
        let info = info.map_err(|error| damaged(&error))?;
        if parents.len() == MAX_RANGE {
            let attempt = format!("{}: more than {MAX_RANGE} commits", attempt());
            return Err(GitError::new(Class::TooManyCommits, attempt));
        }
        parents.insert(info.id, info.parent_ids.to_vec());
    }
    parents_first(tip, &parents).into_iter().map(commit_id).collect()
}

/// Orders commits so that each comes after all its parents: first what the first parent brought, then what was merged.
///
/// The order is security: who may approve is judged by the policy that the commits before left in force. The order of a
/// walk by date would be for the committer to choose, and a walk by distance puts a child before its parent when another
/// way to the parent is longer.
fn parents_first<Id: Copy + Eq + std::hash::Hash>(
    tip: Id,
    parents: &HashMap<Id, Vec<Id>>,
) -> Vec<Id> {
    let mut ordered = Vec::with_capacity(parents.len());
    let mut seen = HashSet::from([tip]);
    // A commit, and how many of its parents were gone into.
    let mut path = vec![(tip, 0)];
    while let Some((commit, gone_into)) = path.pop() {
        match parents.get(&commit).and_then(|parents| parents.get(gone_into)) {
            None => ordered.push(commit),
            Some(parent) => {
                path.push((commit, gone_into + 1));
                if parents.contains_key(parent) && seen.insert(*parent) {
                    path.push((*parent, 0));
                }
            }
        }
    }
    ordered
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_longer_way_to_a_parent_counts() {
        // tip merges a and c; c is far away over d, and a's parent as well.
        let parents = HashMap::from([
            ("tip", vec!["a", "b"]),
            ("a", vec!["base"]),
            ("b", vec!["d"]),
            ("d", vec!["a"]),
        ]);
        assert_eq!(parents_first("tip", &parents), ["a", "d", "b", "tip"]);
    }

    proptest! {
        #![proptest_config(crate::properties::config())]

        #[test]
        fn every_commit_comes_after_its_parents(
            edges in prop::collection::vec(prop::collection::vec(0_usize..40, 1..3), 1..40),
        ) {
            // Commit n has parents among the commits before it.
            let parents: HashMap<usize, Vec<usize>> = edges
                .iter()
                .enumerate()
                .map(|(n, chosen)| (n, chosen.iter().filter(|p| **p < n).copied().collect()))
                .collect();
            let ordered = parents_first(edges.len() - 1, &parents);
            for (at, commit) in ordered.iter().enumerate() {
                for parent in &parents[commit] {
                    prop_assert!(ordered[..at].contains(parent), "{parent} before {commit}");
                }
            }
        }
    }
}
