//! One writer per placement: whatever people resumed, only the newest of our runs goes.

use super::desk::{Desk, Flow, halt};
use crate::{
    api::{rollout::reason, run::STATE_RUN},
    release::ledger::STOPPED_SUPERSEDED,
    sync::{Order, release, status::Finding},
};

impl Desk<'_> {
    /// Returns the names of our runs that move clusters, oldest first.
    pub(super) fn going(&self) -> Vec<String> {
        let place = |name: &str| self.status.history.iter().position(|entry| entry.run == name);
        let mut going: Vec<String> = release::ours(self.seen)
            .filter(|run| !release::is_over(run) && release::state(run) == STATE_RUN)
            .filter_map(|run| run.metadata.name.clone())
            .collect();
        // What the ledger has forgotten is older than what it knows.
        going.sort_by_key(|name| place(name));
        going
    }

    /// Stops all of our runs that go but the newest.
    pub(super) fn single(&mut self) -> Flow<()> {
        let going = self.going();
        let Some((newest, others @ [_, ..])) = going.split_last() else { return Ok(()) };
        let stops = others.iter().map(|name| Order::stop(name.clone(), STOPPED_SUPERSEDED));
        self.orders.extend(stops);
        halt(Finding::waits(
            reason::SUPERSEDING,
            format!(
                "run {newest} is newer than {}, and only one goes at a time",
                others.join(", ")
            ),
        ))
    }
}
