//! `ClusterApprovalRequest` and `ApprovalRequest` (fleet-semantics §2.3, §5.9).

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::core::Object;
use serde::{Deserialize, Serialize};

/// An approval request of either scope.
pub type ApprovalRequest = Object<ApprovalRequestSpec, ApprovalRequestStatus>;

/// Which gate is asked for. Immutable.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalRequestSpec {
    /// The run.
    pub parent_stage_rollout: String,
    /// The stage.
    pub target_stage: String,
}

/// What was answered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalRequestStatus {
    /// [`APPROVED`] by the approver, [`APPROVAL_ACCEPTED`] by the run's controller.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// Written by the approver; counts only when its observedGeneration is the request's generation.
pub const APPROVED: &str = "Approved";
/// Written by the run's controller; cannot be taken back.
pub const APPROVAL_ACCEPTED: &str = "ApprovalAccepted";
/// Reason of [`APPROVAL_ACCEPTED`].
pub const ACCEPTED_REASON: &str = "ApprovalRequestApprovalAccepted";
/// Value of the task type label before a stage.
pub const BEFORE_STAGE: &str = "beforeStage";
/// Value of the task type label after a stage.
pub const AFTER_STAGE: &str = "afterStage";
