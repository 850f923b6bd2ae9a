//! New commits, read for what they bring: approvals and policy. Blocking.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::source::{FirstPolicy, Source};
use crate::{
    api::rollout::ApprovalRecord,
    git::{self, GitError, Relation},
    manifest::{Limits, decode},
    model::CommitId,
    render::repository::{Purpose, is_read},
    sync::{CommitNews, Policy, news::LOCKED_OUT, read_news},
    trust::{AllowedSigners, trailer::is_approval},
};

/// Of more new commits than this, the messages are not looked at to save the Rollouts a look.
const COMMITS_LOOKED_AT: usize = 100;

/// What the commits after an accepted one bring, for all Rollouts.
#[derive(Clone, Debug)]
pub(super) enum Range {
    /// Nothing new.
    None,
    /// New commits.
    Commits { found: Vec<ApprovalRecord>, policy_commit: Option<CommitId> },
    /// History was rewritten.
    Rewritten(String),
}

/// Returns the policy commit of a first sight, and says so when nobody will be able to approve.
pub(super) fn first(source: &Source, tip: &CommitId) -> Option<CommitId> {
    let commit = (source.first_policy == FirstPolicy::FirstCommit).then(|| tip.clone());
    if policy(source, commit.as_ref()).is_ok_and(|policy| policy.signers.is_none()) {
        let (repository, commit) = (source.display(), tip.short());
        tracing::warn!(%repository, commit, "approvals in Git will not count: {LOCKED_OUT}");
    }
    commit
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
    let commits = match source.repository.relation(accepted, tip)? {
        Relation::Same => return Ok(Range::None),
        Relation::Ahead(commits) => commits,
        Relation::Behind => {
            return Ok(Range::Rewritten(format!(
                "{branch} was set back from {} to {}",
                accepted.short(),
                tip.short()
            )));
        }
        Relation::Diverged => {
            return Ok(Range::Rewritten(format!(
                "history of {branch} was rewritten: {} does not contain {}",
                tip.short(),
                accepted.short()
            )));
        }
    };
    let policy = policy(source, policy_commit)?;
    let mut news = Vec::new();
    for commit in &commits {
        if let Some(brings) = brings(source, commit, limits)? {
            news.push(brings);
        }
    }
    let (found, policy) = read_news(&news, policy, now);
    Ok(Range::Commits { found, policy_commit: policy.commit })
}

/// Returns whether any of these commits approves or rejects by a trailer, or may do so: they are too many to look.
pub(super) fn any_trailer(source: &Source, commits: &[CommitId]) -> bool {
    commits.len() > COMMITS_LOOKED_AT
        || commits.iter().any(|id| {
            let commit = source.repository.commit(id);
            commit.map_or(true, |commit| commit.trailers.iter().any(|(key, _)| is_approval(key)))
        })
}

/// Reads the policy in force. One that names nobody is none: then the configured one is in force, if there is one.
fn policy(source: &Source, commit: Option<&CommitId>) -> Result<Policy, GitError> {
    let signers = match commit {
        Some(commit) => policy_text(source, commit)?
            .and_then(|text| AllowedSigners::parse(&text, Source::policy_path()).ok())
            .filter(|signers| !signers.entries().is_empty()),
        None => None,
    };
    let configured = || match &source.first_policy {
        FirstPolicy::Given(signers) => Some(signers.clone()),
        FirstPolicy::Nobody | FirstPolicy::FirstCommit => None,
    };
    Ok(Policy { commit: commit.cloned(), signers: signers.or_else(configured) })
}

fn policy_text(source: &Source, commit: &CommitId) -> Result<Option<String>, GitError> {
    let limits = git::Limits::default();
    let file = source.repository.file(commit, &source.folder, Source::policy_path(), limits)?;
    Ok(file.map(|file| String::from_utf8_lossy(&file.bytes).into_owned()))
}

/// Returns what a commit brings: of a merge, only what differs from all its parents.
fn brings(source: &Source, id: &CommitId, limits: &Limits) -> Result<Option<CommitNews>, GitError> {
    let commit = source.repository.commit(id)?;
    let mut changed: Option<BTreeSet<String>> = None;
    for parent in &commit.parents {
        let paths = source.repository.changed_paths(parent, id, &source.folder)?;
        changed = Some(match changed {
            None => paths,
            Some(held) => held.intersection(&paths).cloned().collect(),
        });
    }
    let changed = changed.unwrap_or_default();
    let mut news = CommitNews {
        id: id.clone(),
        evidence: commit.evidence,
        approvals: Vec::new(),
        trailers: commit.trailers.into_iter().filter(|(key, _)| is_approval(key)).collect(),
        is_empty: changed.is_empty(),
        policy: None,
    };
    if changed.contains(Source::policy_path()) {
        news.policy = Some(policy_text(source, id)?);
    }
    for path in changed.iter().filter(|path| is_read(path)) {
        let file = source.repository.file(id, &source.folder, path, git::Limits::default());
        let Ok(Some(file)) = file else { continue };
        if !file.bytes.windows(8).any(|window| window == b"Approval") {
            continue;
        }
        let documents = decode(path, &file.bytes, limits).unwrap_or_default();
        for document in documents {
            let text = |field: &str| {
                document.value.get(field).and_then(|v| v.as_str()).unwrap_or_default().to_owned()
            };
            let group = crate::model::ObjectKey::group_of(&text("apiVersion")).to_owned();
            if Purpose::of(&group, &text("kind")) == Purpose::Approval {
                news.approvals.push((source.full_path(path), document.value));
            }
        }
    }
    let brings = !news.approvals.is_empty() || !news.trailers.is_empty() || news.policy.is_some();
    Ok(brings.then_some(news))
}
