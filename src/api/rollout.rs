//! Our `Rollout`: manifests, placement and strategy tied together (`gitops.tidegate.dev/v1alpha1`).
//!
//! It is a file in Git and a resource on the hub. Git owns the spec; the status is the daemon's only memory.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::core::Object;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::strategy::Stage;

/// A Rollout.
pub type Rollout = Object<RolloutSpec, RolloutStatus>;

/// What to roll out, where, and how.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutSpec {
    /// A path relative to the Rollout's file, or an object with `path` and a renderer.
    #[serde(default)]
    pub manifests: Value,
    /// The placement, in the Rollout's scope.
    #[serde(default)]
    pub placement_name: String,
    /// The strategy, in the Rollout's scope; or else `stages`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy_name: Option<String>,
    /// Stages of a strategy of the Rollout's own name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stages: Option<Vec<Stage>>,
    /// [`START_AUTOMATIC`] when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// [`SUPERSEDE_STOP`] when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when_superseded: Option<String>,
    /// A quicker lane for reverts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback: Option<Rollback>,
    /// When a run counts as failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<FailurePolicy>,
    /// How many runs the status remembers; 10 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<u32>,
    /// Stop the run and start none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
}

/// Runs start by themselves.
pub const START_AUTOMATIC: &str = "Automatic";
/// Runs are made in state Initialize and wait for a person.
pub const START_MANUAL: &str = "Manual";
/// A newer commit stops the older run.
pub const SUPERSEDE_STOP: &str = "Stop";
/// A newer commit waits until the older run is over.
pub const SUPERSEDE_QUEUE: &str = "Queue";

/// How reverts roll out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rollback {
    /// Their strategy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy_name: Option<String>,
}

/// When a run counts as failed, and what then.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FailurePolicy {
    /// How long nothing may move, as a Go duration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress_deadline: Option<String>,
    /// How many clusters may be stuck.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_stuck_clusters: Option<u32>,
    /// [`FAILURE_STOP`] when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
}

/// A failed run is stopped, and a person goes on.
pub const FAILURE_STOP: &str = "Stop";
/// A failed run is stopped, and a run to what was everywhere before is started.
pub const FAILURE_ROLLBACK: &str = "Rollback";
/// There are no limits: it is told, and waited.
pub const FAILURE_WAIT: &str = "Wait";

/// The morning question, answered; and the daemon's memory.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutStatus {
    /// The generation of the Rollout that this speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// [`READY`] and the others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Where the Rollout comes from, and how far Git was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceStatus>,
    /// The full id of the commit whose content is rolled out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// The commit, in eight digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Digest of the content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_digest: Option<String>,
    /// The resource snapshot index that was proved to hold the content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<String>,
    /// The run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// Its stage, such as `2/3 canary`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// Its clusters, such as `15/100`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clusters: Option<String>,
    /// What is so, what it waits on, since when, and who can help.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What the run waits for and since when, such as `approval web-3f2a91c0-before-canary since …`; absent when it waits for
    /// nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
    /// Since when no snapshot group holds the content, while that is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unbound_since: Option<Time>,
    /// The newest index that turned out not to hold the content, while none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused_index: Option<String>,
    /// Digest of the run's plan: stages, their clusters in order, index and content. What approvers may sign.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// What was applied for this Rollout: what may be pruned.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inventory: Vec<InventoryEntry>,
    /// What the failure policy keeps this Rollout off, while it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned: Option<Pinned>,
    /// Signed approvals, newest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvals: Vec<ApprovalRecord>,
    /// Runs, newest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<Release>,
}

/// Where a Rollout comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceStatus {
    /// The repository, without credentials.
    pub repository: String,
    /// The branch or other ref.
    #[serde(rename = "ref")]
    pub reference: String,
    /// The folder of the repository that is followed; absent for all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    /// The Rollout's file.
    pub path: String,
    /// The newest commit that was accepted.
    pub commit: String,
    /// The commit whose `policy/` is in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_commit: Option<String>,
}

/// A commit that the failure policy rolled back: it is not tried again, until Git has other content.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pinned {
    /// Full id of the commit that was rolled back.
    pub commit: String,
    /// Digest of its content.
    pub content_digest: String,
    /// Full id of the commit that it was rolled back to.
    pub to: String,
    /// Why: which clusters were stuck, or since when nothing moved.
    pub message: String,
}

/// One applied object.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InventoryEntry {
    /// Empty for the core group.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Empty for cluster-scoped objects.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Name.
    pub name: String,
}

/// One signed approval, and what became of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalRecord {
    /// The commit that brought it.
    pub commit: String,
    /// Digest of the words that were signed: under another commit's id they are the same approval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<String>,
    /// Its file.
    pub path: String,
    /// The Rollout that it names, as written: `name` or `namespace/name`. Empty when it names none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub rollout: String,
    /// The commit that it approves.
    pub target: String,
    /// Stage.
    pub stage: String,
    /// `BeforeStage` or `AfterStage`.
    pub task: String,
    /// `Approve` or `Reject`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub decision: String,
    /// The plan that it names, if it names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// Not after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Time>,
    /// Who signed, once that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// [`APPROVAL_PENDING`], [`APPROVAL_APPLIED`], [`APPROVAL_REJECTED`] or [`APPROVAL_REFUSED`].
    pub state: String,
    /// A word for machines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// A sentence for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The run it was used for, once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
}

/// Waits for its approval request.
pub const APPROVAL_PENDING: &str = "Pending";
/// Was written to its approval request.
pub const APPROVAL_APPLIED: &str = "Applied";
/// Says no: the gate stays shut.
pub const APPROVAL_REJECTED: &str = "Rejected";
/// Does not count.
pub const APPROVAL_REFUSED: &str = "Refused";

/// One run: an entry of the ledger.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Release {
    /// Full commit id.
    pub commit: String,
    /// Digest of the content.
    pub content_digest: String,
    /// Fleet's hash of the snapshot group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_hash: Option<String>,
    /// Resource snapshot index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<String>,
    /// The run's name.
    pub run: String,
    /// [`OUTCOME_ACTIVE`] and the others.
    pub outcome: String,
    /// When the run was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<Time>,
    /// When it was over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Time>,
    /// Why it failed, or by what it was superseded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Why the failure policy stopped it. Once is enough: it is not stopped for that again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// Full id of the commit that the failure policy rolled it back to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolled_back_to: Option<String>,
}

/// The run is not over.
pub const OUTCOME_ACTIVE: &str = "Active";
/// Every cluster has the content.
pub const OUTCOME_SUCCEEDED: &str = "Succeeded";
/// The run failed.
pub const OUTCOME_FAILED: &str = "Failed";
/// A newer commit took over.
pub const OUTCOME_SUPERSEDED: &str = "Superseded";
/// The failure policy stopped the run, and went back to an earlier commit.
pub const OUTCOME_ROLLED_BACK: &str = "RolledBack";
/// Somebody deleted the run before it was over.
pub const OUTCOME_DELETED: &str = "Deleted";

/// kstatus: everything is as Git says.
pub const READY: &str = "Ready";
/// kstatus: on the way.
pub const RECONCILING: &str = "Reconciling";
/// kstatus: not without help.
pub const STALLED: &str = "Stalled";
/// The commit is one that may be released.
pub const SOURCE_VERIFIED: &str = "SourceVerified";
/// The commit's files make sense.
pub const RENDERED: &str = "Rendered";
/// The hub holds the commit's objects.
pub const APPLIED: &str = "Applied";
/// A snapshot group was proved to hold the commit's objects.
pub const BOUND: &str = "Bound";
/// The run goes well.
pub const HEALTHY: &str = "Healthy";
/// The failure policy rolled the tip's content back. There is no such condition while that is not so.
pub const PINNED: &str = "Pinned";
/// No signed approval was refused.
pub const APPROVALS_ACCEPTED: &str = "ApprovalsAccepted";

/// Reasons of a Rollout's conditions.
pub mod reason {
    #![allow(missing_docs)]
    pub const SUCCEEDED: &str = "Succeeded";
    pub const NO_CHANGE: &str = "NoChange";
    pub const ROLLING_OUT: &str = "RollingOut";
    pub const WAITING: &str = "Waiting";
    pub const WAITING_FOR_APPROVAL: &str = "WaitingForApproval";
    pub const WAITING_FOR_START: &str = "WaitingForStart";
    pub const WAITING_FOR_SNAPSHOT: &str = "WaitingForSnapshot";
    pub const SUPERSEDING: &str = "Superseding";
    pub const QUEUED: &str = "Queued";
    pub const SUSPENDED: &str = "Suspended";
    pub const STOPPED: &str = "Stopped";
    pub const RUN_FAILED: &str = "RunFailed";
    pub const STUCK: &str = "Stuck";
    pub const INVALID: &str = "Invalid";
    pub const APPLY_FAILED: &str = "ApplyFailed";
    pub const CONFLICT: &str = "Conflict";
    pub const PRUNE_HELD: &str = "PruneHeld";
    pub const CONTENT_DIFFERS: &str = "ContentDiffers";
    pub const PREFLIGHT_FAILED: &str = "PreflightFailed";
    pub const PLACEMENT_BUSY: &str = "PlacementBusy";
    pub const NOT_IN_REPOSITORY: &str = "NotInRepository";
    pub const HISTORY_REWRITTEN: &str = "HistoryRewritten";
    pub const ACCEPTED: &str = "Accepted";
    pub const APPLYING: &str = "Applying";
    pub const PROVED: &str = "Proved";
    pub const FAILURE_POLICY: &str = "FailurePolicy";
    pub const ROLLED_BACK: &str = "RolledBack";
    pub const ROLLING_BACK: &str = "RollingBack";
    pub const ROLLBACK_FAILED: &str = "RollbackFailed";
    pub const REFUSED: &str = "Refused";
    pub const NONE_REFUSED: &str = "NoneRefused";
    pub const PROGRESSING: &str = "Progressing";
    pub const DONE: &str = "Done";
}
