//! A run's status in the words of the person who asks.

use jiff::Timestamp;

use super::Run;

/// Where a run is, what it waits on, and since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The run as a whole.
    pub phase: Phase,
    /// Its stages in order; the removal of clusters last, when there are any to remove.
    pub stages: Vec<StageProgress>,
    /// Clusters that are done, in all stages.
    pub updated: usize,
    /// Clusters in all stages.
    pub total: usize,
    /// What has to happen before the run can go on; nothing when it is going on, or over.
    pub waiting_on: Vec<Cause>,
    /// Why the run failed.
    pub failure: Option<String>,
    /// When the run entered this phase, as far as its status tells.
    pub since: Option<Timestamp>,
}

/// The run as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Not initialized yet.
    Pending,
    /// Initialized, and waits to be started.
    Initialized,
    /// Clusters are being updated.
    Updating,
    /// At a gate.
    Waiting,
    /// Clusters take longer than five minutes.
    Stuck,
    /// Stopped, with clusters still in flight.
    Stopping,
    /// Stopped.
    Stopped,
    /// Over: every cluster is updated.
    Succeeded,
    /// Over: see [`Progress::failure`].
    Failed,
}

/// Where a stage is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageProgress {
    /// The stage's name.
    pub name: String,
    /// The stage as a whole; [`Phase::Pending`] until it begins.
    pub phase: Phase,
    /// Its clusters in order.
    pub clusters: Vec<ClusterProgress>,
    /// What the stage waits on.
    pub waiting_on: Vec<Cause>,
    /// When its first cluster started.
    pub started: Option<Timestamp>,
    /// When it was over.
    pub ended: Option<Timestamp>,
}

/// Where a cluster is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterProgress {
    /// The member cluster.
    pub name: String,
    /// [`Phase::Pending`], [`Phase::Updating`], [`Phase::Stuck`], [`Phase::Succeeded`] or [`Phase::Failed`].
    pub phase: Phase,
    /// When the phase began.
    pub since: Option<Timestamp>,
}

/// What has to happen before a run can go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Somebody sets the run's state to `Run`.
    Start {
        /// Since when.
        since: Option<Timestamp>,
    },
    /// Somebody approves.
    Approval {
        /// The approval request.
        request: String,
        /// The stage behind or before the gate.
        stage: String,
        /// Since when the request exists; nothing when it is about to be created.
        since: Option<Timestamp>,
    },
    /// Time passes.
    Timer {
        /// The stage before the gate.
        stage: String,
        /// When the gate opens.
        until: Timestamp,
    },
    /// Clusters that take longer than five minutes recover.
    Clusters {
        /// Their stage.
        stage: String,
        /// Their names, in order.
        names: Vec<String>,
        /// Since when the first of them is in flight.
        since: Timestamp,
    },
    /// Somebody resumes the run.
    Resume {
        /// Since when it is stopped.
        since: Option<Timestamp>,
    },
}

/// Returns where `run` is, judged by its status alone.
pub fn progress(_run: &Run<'_>, _now: Timestamp) -> Progress {
    Progress {
        phase: Phase::Pending,
        stages: Vec::new(),
        updated: 0,
        total: 0,
        waiting_on: Vec::new(),
        failure: None,
        since: None,
    }
}
