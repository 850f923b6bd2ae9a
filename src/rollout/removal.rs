//! The implicit last stage: clusters that are no longer selected (fleet-semantics §5.8 "Delete stage", §5.10).

use super::{
    Order, Wake,
    cluster::{is_started, is_updated},
    fault::Fault,
    stage::Visit,
};
use crate::api::run::StageStatus;

/// How the removal goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Removal {
    /// No binding is left.
    Done,
    /// Bindings are on their way out.
    InFlight,
    /// Bindings are left, and none of them was told to go.
    Idle,
}

impl Visit<'_> {
    /// Removes every cluster at once: there is no limit and no gate.
    pub(super) fn remove(&mut self, stage: &mut StageStatus) -> Result<Removal, Fault> {
        let removal = self.follow_removal(stage)?;
        self.stamp.stage_started(stage);
        for cluster in stage.clusters.iter().filter(|cluster| !is_started(cluster)) {
            if let Some(binding) = self.targets.removed.get(&cluster.cluster_name) {
                let binding = binding.metadata.name.clone().unwrap_or_default();
                self.orders.push(Order::DeleteBinding { binding });
            }
        }
        if removal == Removal::Done {
            self.stamp.stage_succeeded(stage);
            self.wake = Wake::OnChange;
        }
        Ok(removal)
    }

    /// Looks at bindings that were told to go, and at those that are gone.
    pub(super) fn follow_removal(&mut self, stage: &mut StageStatus) -> Result<Removal, Fault> {
        let mut faults = Vec::new();
        for cluster in &mut stage.clusters {
            let name = &cluster.cluster_name;
            let Some(binding) = self.targets.removed.get(name) else {
                if !is_started(cluster) {
                    self.stamp.cluster_started(cluster);
                }
                if !is_updated(cluster) {
                    self.stamp.cluster_succeeded(cluster);
                }
                continue;
            };
            let going = binding.metadata.deletion_timestamp.is_some();
            if is_updated(cluster) {
                faults.push(Fault::abort_unexpected(format!(
                    "the deleted cluster `{name}` in the deleting stage still has a binding"
                )));
            } else if is_started(cluster) && !going {
                faults.push(Fault::abort_unexpected(format!(
                    "the cluster `{name}` in the deleting stage is marked as deleting but its corresponding binding is not deleting"
                )));
            } else if going {
                self.stamp.cluster_started(cluster);
            }
        }
        Fault::join(faults)?;
        let in_flight = |cluster| is_started(cluster) && !is_updated(cluster);
        Ok(if self.targets.removed.is_empty() {
            Removal::Done
        } else if stage.clusters.iter().any(in_flight) {
            Removal::InFlight
        } else {
            Removal::Idle
        })
    }
}
