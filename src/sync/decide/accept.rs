//! What Git says: taken note of, checked, and written to the hub as the Rollout itself.

use super::{
    apply::objects,
    desk::{Desk, Flow, halt},
};
use crate::{
    api::{
        meta,
        rollout::{RENDERED, SOURCE_VERIFIED, SourceStatus, reason},
    },
    model::Digest,
    render::{Wanted, object},
    sync::{News, Order, Tip, approval, status::Finding},
};

/// Annotation on a Rollout on the hub: a tip that may be followed although history was rewritten.
pub const ACCEPT: &str = "gitops.tidegate.dev/accept";

/// In the message of `SourceVerified`: what follows is why the branch cannot be read any more. What was read stays verified.
pub const UNREAD_SINCE: &str = "; since then it cannot be read: ";

impl Desk<'_> {
    /// Takes note of new commits, before anything is done about them.
    pub(super) fn accept(&mut self, tip: &Tip) -> Flow<()> {
        if self.seen.rollout.is_none() {
            return Ok(());
        }
        let allowed = self.annotation(ACCEPT) == Some(tip.commit.as_str());
        let policy = self.status.source.as_ref().and_then(|source| source.policy_commit.clone());
        let policy = match &tip.news {
            News::Rewritten { why, .. } if !allowed => {
                self.follow(None);
                self.steps.failed(SOURCE_VERIFIED, reason::HISTORY_REWRITTEN, why.clone());
                let namespace = &self.seen.namespace;
                return halt(Finding::stalled(
                    reason::HISTORY_REWRITTEN,
                    format!(
                        "{why}; nothing changes until somebody accepts it: kubectl annotate --overwrite rollout {} -n {namespace} {ACCEPT}={}",
                        self.seen.name.name, tip.commit
                    ),
                ));
            }
            News::First { policy_commit } | News::Rewritten { policy_commit, .. } => {
                policy_commit.as_ref().map(ToString::to_string)
            }
            News::Commits { approvals, policy_commit } => {
                approval::remember(&mut self.status.approvals, approvals);
                policy_commit.as_ref().map(ToString::to_string)
            }
            News::None => policy,
        };
        let path = tip.path.clone().or_else(|| self.status.source.as_ref().map(|s| s.path.clone()));
        self.status.source = Some(SourceStatus {
            repository: tip.repository.clone(),
            reference: tip.reference.clone(),
            folder: tip.folder.clone(),
            path: path.unwrap_or_default(),
            commit: tip.commit.to_string(),
            policy_commit: policy,
        });
        let message = format!("{} at {}", tip.reference, tip.commit.short());
        match &tip.trouble {
            None => self.steps.done(SOURCE_VERIFIED, reason::ACCEPTED, message),
            Some(trouble) => self.steps.done(
                SOURCE_VERIFIED,
                reason::ACCEPTED,
                format!("{message}{UNREAD_SINCE}{trouble}"),
            ),
        }
        Ok(())
    }

    pub(super) fn rendered<'t>(&mut self, tip: &'t Tip) -> Flow<&'t Wanted> {
        let faults = match &tip.wanted {
            Ok(wanted) => {
                let count = objects(wanted.content.len());
                let text = format!("{count} in {}", shown(&wanted.content_path));
                self.steps.done(RENDERED, reason::DONE, text);
                return Ok(wanted);
            }
            Err(faults) => faults,
        };
        if self.seen.rollout.is_none() {
            // It has to be seen to be mended.
            if let Some(object) = &tip.object {
                self.orders.push(Order::WriteRollout(object.clone()));
            }
        }
        if tip.path.is_none() {
            let message = format!(
                "the Rollout is not in the repository at {}: nothing of it is changed or deleted; when it is no longer needed: kubectl delete rollout {} -n {}",
                tip.commit.short(),
                self.seen.name.name,
                self.seen.namespace,
            );
            self.steps.failed(RENDERED, reason::NOT_IN_REPOSITORY, message.clone());
            return halt(Finding::stalled(reason::NOT_IN_REPOSITORY, message));
        }
        let texts: Vec<String> = faults.iter().take(5).map(ToString::to_string).collect();
        let more = faults.len().saturating_sub(texts.len());
        let mut message = texts.join("; ");
        if more > 0 {
            message.push_str(&format!("; and {more} more"));
        }
        self.steps.failed(RENDERED, reason::INVALID, message.clone());
        let message = format!("{message}{}", self.earlier_run());
        halt(Finding::stalled(reason::INVALID, format!("commit {}: {message}", tip.commit.short())))
    }

    pub(super) fn write_rollout(&mut self, wanted: &Wanted) -> Flow<()> {
        let mut object = object::rollout(wanted, &self.seen.namespace);
        let digest = Digest::of(object.to_string().as_bytes());
        if self.annotation(meta::SPEC_DIGEST) == Some(digest.as_str()) {
            return Ok(());
        }
        object["metadata"]["annotations"][meta::SPEC_DIGEST] = digest.as_str().into();
        self.orders.push(Order::WriteRollout(object));
        halt(Finding::waits(reason::PROGRESSING, "the Rollout is written to the hub"))
    }
}

fn shown(path: &str) -> &str {
    if path.is_empty() { "the repository" } else { path }
}
