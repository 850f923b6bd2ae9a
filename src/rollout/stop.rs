//! Stopping: clusters in flight finish, nothing new begins (fleet-semantics §5.10).

use super::{fault::Fault, removal::Removal, stage::Visit, status::Activity};
use crate::api::run::StageStatus;

impl Visit<'_> {
    /// Brings a stage to rest. No gate is judged, no request is made, no cluster is started.
    ///
    /// A binding that this run wrote, and that its status does not tell of yet, is in flight all the same: it is
    /// followed like the others.
    pub(super) fn stop(&mut self, stage: &mut StageStatus) -> Result<Activity, Fault> {
        let wanted = self.wanted;
        let round = self.follow(stage, &|cluster, binding| wanted.announced(cluster, binding));
        if round.started && stage.start_time.is_none() {
            stage.start_time = Some(self.stamp.time());
        }
        Fault::join(
            round
                .faults
                .into_iter()
                .map(|(_, mut fault)| {
                    if fault.text.ends_with("toBeUpdatedBindings map") {
                        fault.text.push_str(" during stopping");
                    }
                    fault
                })
                .collect(),
        )?;
        if round.in_flight == 0 {
            self.stamp.stage_stopped(stage);
            return Ok(Activity::Stopped);
        }
        self.stamp.stage_stopping(stage);
        Ok(match round.stuck {
            stuck if stuck.is_empty() => Activity::Stopping,
            clusters => Activity::Stuck { stage: stage.stage_name.clone(), clusters },
        })
    }

    /// Brings the removal of clusters to rest: settled when nothing that was told to go is left (§11.2 #10).
    pub(super) fn stop_removal(&mut self, stage: &mut StageStatus) -> Result<Activity, Fault> {
        Ok(match self.follow_removal(stage)? {
            Removal::InFlight => {
                self.stamp.stage_stopping(stage);
                Activity::Stopping
            }
            Removal::Done | Removal::Idle => {
                self.stamp.stage_stopped(stage);
                Activity::Stopped
            }
        })
    }
}
