//! What a pass decides.

use jiff::Timestamp;

use crate::api::{placement::ApplyStrategy, reference::NamespacedName, run::RunStatus};

/// One pass: what to record, what to do, and when to look again.
#[must_use]
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Step {
    /// The whole status to record; nothing when the recorded one is right.
    pub status: Option<RunStatus>,
    /// What to do. Bindings and approvals in any order and at the same time; the rest one after another.
    pub orders: Vec<Order>,
    /// When to look again if nothing changes before.
    pub wake: Wake,
    /// Why the pass could not do more, when that is expected to pass by itself. For logs.
    pub held: Option<String>,
    /// Whether `status` ends the run as a failure. The caller confirms the verdict on fresh reads before it records it:
    /// caches of different kinds are not of the same moment.
    pub verdict: bool,
}

/// When to look again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wake {
    /// As soon as the step is recorded.
    Now,
    /// At this instant, if nothing changes before.
    At(Timestamp),
    /// When something changes.
    #[default]
    OnChange,
}

/// A gate's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Before the stage.
    Before,
    /// After the stage.
    After,
}

/// Something to do on the hub. Carrying out an order twice does no harm.
#[derive(Clone, Debug, PartialEq)]
pub enum Order {
    /// Put the run's finalizer on it.
    AddFinalizer,
    /// Take the run's finalizer off. Comes after [`Order::DeleteApprovals`], and only if that succeeded.
    RemoveFinalizer,
    /// Select the placement's content as it is now, cut or reuse a snapshot group, without waiting for more changes, and
    /// put the result into [`Seen::captured`] of the next pass.
    CaptureSnapshot,
    /// Make the binding's spec what the run wants, with state `Bound`; then, for the generation that this makes, set
    /// `RolloutStarted`. Must fail when the binding changed since it was seen.
    Bind(Box<Bind>),
    /// Set `RolloutStarted` for the binding's generation: its spec is as wanted. Must fail when the binding changed.
    MarkRolloutStarted {
        /// The binding.
        binding: String,
        /// The condition's message.
        message: String,
    },
    /// Delete the binding.
    DeleteBinding {
        /// The binding.
        binding: String,
    },
    /// Create an approval request of the run's scope. That it exists already is no failure.
    CreateApproval {
        /// Its name.
        name: String,
        /// The stage that waits.
        stage: String,
        /// Before or after.
        task: Task,
    },
    /// Set `ApprovalAccepted` on the request, for this generation.
    AcceptApproval {
        /// Its name.
        name: String,
        /// `metadata.generation` of the request that was approved.
        generation: i64,
    },
    /// Delete every approval request that is labelled with the run.
    DeleteApprovals,
}

/// What a binding should say.
#[derive(Clone, Debug, PartialEq)]
pub struct Bind {
    /// The binding.
    pub binding: String,
    /// The member cluster; for logs and events.
    pub cluster: String,
    /// Name of the master resource snapshot.
    pub snapshot: String,
    /// Overrides frozen at initialization.
    pub resource_overrides: Option<Vec<NamespacedName>>,
    /// Overrides frozen at initialization.
    pub cluster_overrides: Option<Vec<String>>,
    /// The run's apply strategy.
    pub apply_strategy: Option<ApplyStrategy>,
    /// Message of the `RolloutStarted` condition.
    pub message: String,
}
