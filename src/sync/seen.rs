//! What a pass looks at.

use std::{collections::BTreeMap, sync::Arc};

use jiff::SignedDuration;
use serde_json::Value;

use crate::{
    api::{
        ApprovalRequest, Binding, Placement, PolicySnapshot, ResourceSnapshot, Rollout, Run,
        Strategy, rollout::ApprovalRecord,
    },
    model::{CommitId, ObjectName},
    release::Content,
    render::{Fault, Wanted},
};

/// One Rollout, and the world around it, at one reading.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The Rollout.
    pub name: ObjectName,
    /// Namespace in which it is kept on the hub.
    pub namespace: String,
    /// The Rollout on the hub, if it is there.
    pub rollout: Option<Arc<Rollout>>,
    /// What Git says.
    pub git: Git,
    /// What became of applying, if this was applied since the daemon began: by [`super::Apply::key`].
    pub applied: Option<(String, ApplyOutcome)>,
    /// Whether nothing of it was applied since the daemon began.
    pub is_fresh: bool,
    /// The placement.
    pub placement: Option<Arc<Placement>>,
    /// The strategies that its runs may name, as far as they are there.
    pub strategies: Vec<Arc<Strategy>>,
    /// Policy snapshots of the placement.
    pub policy_snapshots: Vec<Arc<PolicySnapshot>>,
    /// Resource snapshots of the placement.
    pub snapshots: Vec<Arc<ResourceSnapshot>>,
    /// Bindings of the placement.
    pub bindings: Vec<Arc<Binding>>,
    /// Runs of the placement, anybody's.
    pub runs: Vec<Arc<Run>>,
    /// Approval requests of these runs, by name.
    pub requests: BTreeMap<String, Arc<ApprovalRequest>>,
    /// Labels of every member cluster, by name.
    pub members: BTreeMap<String, BTreeMap<String, String>>,
    /// How long a hub may take to cut a snapshot by itself before a run is asked to capture the content.
    pub patience: SignedDuration,
}

/// What Git says about a Rollout.
#[derive(Clone, Debug)]
pub enum Git {
    /// It is being read, for the first time since the daemon began: in these words.
    Pending(String),
    /// It could not be read since the daemon began.
    Unread(String),
    /// The branch's tip, and what it says.
    Tip(Box<Tip>),
}

/// The branch's tip.
#[derive(Clone, Debug)]
pub struct Tip {
    /// The repository, without credentials.
    pub repository: String,
    /// The branch.
    pub reference: String,
    /// The followed folder of it; nothing for all of it.
    pub folder: Option<String>,
    /// The commit.
    pub commit: CommitId,
    /// The newest commit, up to the tip, that changed the content.
    pub content_commit: CommitId,
    /// Commits since the newest accepted one.
    pub news: News,
    /// What the Rollout wants at the tip.
    pub wanted: Result<Wanted, Vec<Fault>>,
    /// The Rollout's file, if it is there.
    pub path: Option<String>,
    /// The Rollout's object as written, for the first appearance of one with faults.
    pub object: Option<Value>,
    /// What the Rollout wanted at the commit that it is rolled back to, or why that cannot be read; while it is.
    pub earlier: Option<(CommitId, Result<Wanted, String>)>,
    /// Whether Git had other content since the newest accepted commit, and has the same as then again. Told of a Rollout that
    /// is kept off some content.
    pub returned: bool,
    /// Why the tip could not be read lately, though an earlier one could.
    pub trouble: Option<String>,
}

/// Commits since the newest accepted one.
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    /// There is no newest accepted commit: this Rollout is seen for the first time.
    First {
        /// Whose policy is in force from now on; nothing when the configured one is.
        policy_commit: Option<CommitId>,
    },
    /// No new commit.
    None,
    /// New commits.
    Commits {
        /// Signed approvals that they bring.
        approvals: Vec<ApprovalRecord>,
        /// The commit whose policy is in force after them.
        policy_commit: Option<CommitId>,
    },
    /// History was rewritten, or the branch set back.
    Rewritten {
        /// In these words.
        why: String,
        /// The commit whose policy is in force if somebody accepts it.
        policy_commit: Option<CommitId>,
    },
}

/// What became of applying.
#[derive(Clone, Debug, PartialEq)]
pub enum ApplyOutcome {
    /// The hub holds everything.
    Done(Content),
    /// It does not.
    Failed {
        /// [`crate::api::rollout::reason::CONFLICT`] or [`crate::api::rollout::reason::APPLY_FAILED`].
        reason: &'static str,
        /// What happened, to which object, from which file.
        message: String,
        /// How many objects were applied before.
        applied: usize,
        /// Whether it is tried again without anybody doing something.
        retried: bool,
    },
}
