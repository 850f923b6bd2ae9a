//! The failure policy: a run in which too much is stuck, or nothing moves.

use jiff::SignedDuration;

use super::desk::Desk;
use crate::{
    api::{
        Run,
        run::{STATE_RUN, STATE_STOP},
    },
    render::{Wanted, object::STOPPED_FAILURE},
    rollout::{Phase, Progress},
    sync::{Order, release},
};

impl Desk<'_> {
    /// Carries out the failure policy.
    pub(super) fn guard(&mut self, wanted: &Wanted, run: &Run, progress: &Progress) {
        if release::state(run) != STATE_RUN
            || !matches!(progress.phase, Phase::Updating | Phase::Stuck)
        {
            return;
        }
        let clusters = || progress.stages.iter().flat_map(|stage| &stage.clusters);
        let stuck = clusters().filter(|cluster| cluster.phase == Phase::Stuck).count();
        let too_many = wanted.intent.max_stuck_clusters.is_some_and(|max| stuck > max as usize);
        let moved = clusters().filter_map(|cluster| cluster.since).max();
        let late = wanted.intent.progress_deadline.zip(moved).is_some_and(|(deadline, moved)| {
            self.now.duration_since(moved) > SignedDuration::from(deadline)
        });
        if too_many || late {
            self.orders.push(Order::SetRunState {
                run: run.metadata.name.clone().unwrap_or_default(),
                state: STATE_STOP,
                stopped_by: Some(STOPPED_FAILURE),
            });
        }
    }
}
