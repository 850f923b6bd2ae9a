//! Our `Source`: what a daemon has read of a branch (`gitops.tidegate.dev/v1alpha1`).
//!
//! Nobody asks for one. The daemon writes it, and whoever waits for a commit learns there that it changes nothing for a
//! Rollout, which the Rollout itself never tells.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::core::Object;
use serde::{Deserialize, Serialize};

use super::rollout;

/// A source.
pub type Source = Object<SourceSpec, SourceStatus>;

/// Which branch, and which folder of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceSpec {
    /// The repository, without credentials.
    pub repository: String,
    /// The branch or other ref.
    #[serde(rename = "ref")]
    pub reference: String,
    /// The folder that is followed; absent for all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
}

impl From<&rollout::SourceStatus> for SourceSpec {
    fn from(recorded: &rollout::SourceStatus) -> Self {
        Self {
            repository: recorded.repository.clone(),
            reference: recorded.reference.clone(),
            folder: recorded.folder.clone(),
        }
    }
}

/// How far it was read, and what for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceStatus {
    /// The full id of the newest commit that was read.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub commit: String,
    /// When that was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_at: Option<Time>,
    /// What was read lately, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub readings: Vec<Reading>,
    /// Rollouts that are in this source and belong to another.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<Refused>,
}

/// A tip that was read, and whom it concerns.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reading {
    /// The full id of the tip.
    pub commit: String,
    /// The commits between the tip that was read before and this one, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passed: Vec<String>,
    /// The Rollouts that it may change something for, as `namespace/name`; absent for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollouts: Option<Vec<String>>,
}

/// A Rollout that belongs to another source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Refused {
    /// The Rollout, as `namespace/name`.
    pub rollout: String,
    /// The source that it belongs to: repository, branch and folder.
    pub owner: String,
}
