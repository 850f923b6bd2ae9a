//! New commits, read for what they bring: approvals and policy. Blocking.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::json;

use super::source::{FirstPolicy, Source};
use crate::{
    api::rollout::ApprovalRecord,
    git::{self, Class, GitError, Relation},
    manifest::{Limits, decode},
    model::CommitId,
    render::repository::{Purpose, is_never_content, is_read},
    sync::{ApprovalDocument, CommitNews, Policy, PolicyChange, news::LOCKED_OUT, read_news},
    trust::{AllowedSigners, Evidence, trailer::is_approval},
};

/// More new commits than this are not looked at to save the Rollouts a look.
const COMMITS_LOOKED_AT: usize = 100;
/// A policy of more bytes is none.
const POLICY_BYTES: u64 = 1 << 20;

/// What the commits after an accepted one bring, for all Rollouts.
#[derive(Clone, Debug)]
pub(super) enum Range {
    /// Nothing new.
    None,
    /// New commits.
    Commits { found: Vec<ApprovalRecord>, policy_commit: Option<CommitId> },
    /// History was rewritten: in these words, and whose policy is in force if somebody accepts it.
    Rewritten(String, Option<CommitId>),
}

/// Returns the policy commit of a first sight, and says so when nobody will be able to approve.
pub(super) fn first(source: &Source, tip: &CommitId) -> Option<CommitId> {
    let commit = (source.first_policy == FirstPolicy::FirstCommit).then(|| tip.clone());
    if !names_somebody(source, commit.as_ref()) {
        let (repository, commit) = (source.display(), tip.short());
        tracing::warn!(%repository, commit, "approvals in Git will not count: {LOCKED_OUT}");
    }
    commit
}

/// Returns whether anybody may approve by the policy of this commit, or by the configured one.
pub(super) fn names_somebody(source: &Source, policy_commit: Option<&CommitId>) -> bool {
    policy(source, policy_commit).is_ok_and(|policy| policy.signers.is_some())
}

/// Reads the range `(accepted, tip]`.
pub(super) fn range(
    source: &Source,
    accepted: &CommitId,
    policy_commit: Option<&CommitId>,
    tip: &CommitId,
    limits: &Limits,
    now: Timestamp,
) -> Result<Range, GitError> {
    let branch = source.repository.branch();
    let rewritten =
        |why: String| Ok(Range::Rewritten(why, after_rewriting(source, policy_commit, tip)?));
    let commits = match source.repository.relation(accepted, tip)? {
        Relation::Same => return Ok(Range::None),
        Relation::Ahead(commits) => commits,
        Relation::Behind => {
            return rewritten(format!(
                "{branch} was set back from {} to {}",
                accepted.short(),
                tip.short()
            ));
        }
        Relation::Diverged => {
            return rewritten(format!(
                "history of {branch} was rewritten: {} does not contain {}",
                tip.short(),
                accepted.short()
            ));
        }
    };
    let policy = policy(source, policy_commit)?;
    let news: Vec<CommitNews> = commits
        .iter()
        .map(|commit| brings(source, commit, limits))
        .collect::<Result<_, GitError>>()?;
    let (found, policy) = read_news(accepted, &news, policy, now);
    Ok(Range::Commits { found, policy_commit: policy.commit })
}

/// Returns whose policy is in force on rewritten history: the same as before. Where the new tip has that very text, it is
/// the tip's, for the old commit goes with the old history.
fn after_rewriting(
    source: &Source,
    policy_commit: Option<&CommitId>,
    tip: &CommitId,
) -> Result<Option<CommitId>, GitError> {
    let before = policy(source, policy_commit)?;
    let same = before.text.is_some() && before.text == any_policy_text(source, tip)?;
    Ok(if same { Some(tip.clone()) } else { before.commit })
}

/// Returns whether any of these commits has something to say about approvals or policy, or may have: they are too many to
/// look. What one says and the next takes back is not to be seen in their trees.
pub(super) fn any_word(source: &Source, commits: &[CommitId]) -> bool {
    let says = |id: &CommitId| -> Result<bool, GitError> {
        let commit = source.repository.commit(id)?;
        let mut says = commit.trailers.iter().any(|(key, _)| is_approval(key));
        for parent in &commit.parents {
            let changed = source.repository.changed_paths(parent, id, &source.folder)?;
            says |= changed.iter().any(|path| is_never_content(path));
        }
        Ok(says)
    };
    commits.len() > COMMITS_LOOKED_AT || commits.iter().any(|id| says(id).unwrap_or(true))
}

/// Reads the policy in force. One that names nobody is none: then the configured one is in force, if there is one.
///
/// One whose commit is gone, which only rewritten history takes away, is not made up for by the configured one: who was
/// removed since must not come back. Then nobody may approve.
fn policy(source: &Source, commit: Option<&CommitId>) -> Result<Policy, GitError> {
    let text = match commit {
        Some(commit) => match policy_text(source, commit) {
            Err(error) if matches!(error.class, Class::NoSuchCommit(_)) => {
                return Ok(Policy { commit: Some(commit.clone()), ..Policy::default() });
            }
            text => text?,
        },
        None => None,
    };
    let signers = text
        .as_deref()
        .and_then(|text| AllowedSigners::parse(text, Source::policy_path()).ok())
        .filter(|signers| !signers.entries().is_empty());
    let configured = || match &source.first_policy {
        FirstPolicy::Given(signers) => Some(signers.clone()),
        FirstPolicy::Nobody | FirstPolicy::FirstCommit => None,
    };
    Ok(Policy { commit: commit.cloned(), signers: signers.or_else(configured), text })
}

fn policy_text(source: &Source, commit: &CommitId) -> Result<Option<String>, GitError> {
    let limits = git::Limits { file_bytes: POLICY_BYTES, ..git::Limits::default() };
    let file = source.repository.file(commit, &source.folder, Source::policy_path(), limits)?;
    Ok(file.map(|file| String::from_utf8_lossy(&file.bytes).into_owned()))
}

/// Returns a policy as a commit has it, which need not be one that anybody can read.
fn any_policy_text(source: &Source, commit: &CommitId) -> Result<Option<String>, GitError> {
    match policy_text(source, commit) {
        Err(error) if error.class == Class::TooLarge => Ok(Some(error.to_string())),
        text => text,
    }
}

/// Returns what a commit brings: of a merge, only what differs from all its parents.
fn brings(source: &Source, id: &CommitId, limits: &Limits) -> Result<CommitNews, GitError> {
    let commit = source.repository.commit(id)?;
    let mut changed: Option<BTreeSet<String>> = None;
    let mut policy = false;
    for parent in &commit.parents {
        let paths = source.repository.changed_paths(parent, id, &source.folder)?;
        policy |= paths.contains(Source::policy_path());
        changed = Some(match changed {
            None => paths,
            Some(held) => held.intersection(&paths).cloned().collect(),
        });
    }
    // One without a parent is made to be merged, or is the first of all: neither is an empty one.
    let is_empty = changed.as_ref().is_some_and(BTreeSet::is_empty);
    let changed = changed.unwrap_or_default();
    let policy = match policy {
        false => None,
        true => Some(PolicyChange {
            before: commit
                .parents
                .iter()
                .map(|parent| any_policy_text(source, parent))
                .collect::<Result<_, _>>()?,
            after: any_policy_text(source, id)?,
        }),
    };
    let mut approvals = Vec::new();
    if changed.iter().any(|path| is_read(path)) {
        approvals = documents(source, id, &changed, limits);
        for parent in &commit.parents {
            if approvals.is_empty() {
                break;
            }
            // Who moves a file, or edits what stands beside it, approves nothing.
            let before = documents(source, parent, &changed, limits);
            approvals.retain(|new| {
                new.problem.is_some() || !before.iter().any(|old| old.value == new.value)
            });
        }
    }
    let brings_approvals =
        !approvals.is_empty() || commit.trailers.iter().any(|(key, _)| is_approval(key));
    Ok(CommitNews {
        id: id.clone(),
        parents: commit.parents,
        // Payloads of whole histories are not kept for nothing.
        evidence: match brings_approvals || policy.is_some() {
            true => commit.evidence,
            false => Evidence::Unsigned,
        },
        approvals,
        trailers: commit.trailers.into_iter().filter(|(key, _)| is_approval(key)).collect(),
        is_empty,
        policy,
    })
}

/// Reads the approvals in these files of a commit. A file of `approvals/` that cannot be read is told, too: somebody counts
/// on it.
fn documents(
    source: &Source,
    id: &CommitId,
    paths: &BTreeSet<String>,
    limits: &Limits,
) -> Vec<ApprovalDocument> {
    let mut found = Vec::new();
    for path in paths.iter().filter(|path| is_read(path)) {
        let full = source.full_path(path);
        let file = source.repository.file(id, &source.folder, path, git::Limits::default());
        let bytes = match file {
            Ok(Some(file)) => file.bytes,
            Ok(None) => continue,
            Err(error) if is_never_content(path) => {
                found.push(unreadable(full, "", error.to_string()));
                continue;
            }
            Err(_) => continue,
        };
        if !bytes.windows(8).any(|window| window == b"Approval") {
            continue;
        }
        let documents = match decode(path, &bytes, limits) {
            Ok(documents) => documents,
            Err(error) if is_never_content(path) => {
                found.push(unreadable(full, &String::from_utf8_lossy(&bytes), error.to_string()));
                continue;
            }
            Err(_) => continue,
        };
        for document in documents {
            let text = |field: &str| {
                document.value.get(field).and_then(|v| v.as_str()).unwrap_or_default().to_owned()
            };
            let group = crate::model::ObjectKey::group_of(&text("apiVersion")).to_owned();
            if Purpose::of(&group, &text("kind")) == Purpose::Approval {
                let value = document.value;
                found.push(ApprovalDocument { path: full.clone(), value, problem: None });
            }
        }
    }
    found
}

/// Returns a file that should approve and cannot be read, with the words that tell whom it concerns.
fn unreadable(path: String, text: &str, problem: String) -> ApprovalDocument {
    let word = |field: &str| {
        text.lines().find_map(|line| {
            let value = line.trim().strip_prefix(field)?.strip_prefix(':')?;
            Some(value.trim().trim_matches(['"', '\'']).to_owned())
        })
    };
    // A name that no Rollout has: without one it would concern all of them.
    let rollout = word("rollout").unwrap_or_else(|| "?".to_owned());
    let value = json!({"spec": {"rollout": rollout, "commit": word("commit"), "stage": word("stage"),
        "task": word("task"), "decision": word("decision")}});
    ApprovalDocument { path, value, problem: Some(problem) }
}
