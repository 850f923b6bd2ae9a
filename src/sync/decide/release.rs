//! From an index to a run: is one needed, what must end before it, and what it is called.

use super::{
    LOOK_AGAIN,
    desk::{Desk, Flow, Halt, halt},
    pin::Goal,
};
use crate::{
    api::{rollout::reason, run::RunSpec},
    model::SnapshotIndex,
    release::{Content, ledger::attempts, name::run_name},
    render::object::{self, RunFor},
    sync::{
        Order,
        release::{self, Before, Newest},
        status::{Finding, State},
    },
};

impl Desk<'_> {
    pub(super) fn release(
        &mut self,
        goal: &Goal<'_>,
        content: &Content,
        bound: Option<(SnapshotIndex, String)>,
    ) -> Flow<Finding> {
        let wanted = goal.wanted.as_ref();
        let index = bound.as_ref().map(|(index, _)| *index);
        let newest = self.status.history.last().cloned();
        self.status.content_digest = Some(wanted.digest.to_string());
        if release::newest(newest.as_ref(), wanted.digest.as_str(), index) == Newest::Same {
            let newest = newest.unwrap_or_default();
            let Some(why) = self.again(&newest) else {
                self.show(&newest.commit, newest.index.clone());
                return self.drive(goal, content, &newest);
            };
            return self.make(goal, bound).map_err(|Halt::At(finding)| {
                Halt::At(Finding { message: format!("{why}; {}", finding.message), ..finding })
            });
        }
        self.make(goal, bound)
    }

    /// Makes a run, unless there is nothing for it to do, or something must end before.
    fn make(&mut self, goal: &Goal<'_>, bound: Option<(SnapshotIndex, String)>) -> Flow<Finding> {
        let wanted = goal.wanted.as_ref();
        let index = bound.as_ref().map(|(index, _)| *index);
        let moving = release::ours(self.seen).any(|run| !release::is_over(run));
        if let (Some(index), false) = (index, moving)
            && release::is_everywhere(self.seen, index)
        {
            self.show(goal.commit.as_str(), Some(index.to_string()));
            return Ok(Finding::new(
                State::Ready,
                reason::NO_CHANGE,
                format!(
                    "nothing to roll out: every cluster has the content of {} (index {index}) already",
                    goal.commit.short()
                ),
            ));
        }
        match release::supersede(self.seen, None, wanted.intent.when_superseded, self.now) {
            Before::Orders(orders) => {
                self.orders.extend(orders);
                return halt(Finding::waits(
                    reason::SUPERSEDING,
                    format!("commit {} takes over", goal.commit.short()),
                ));
            }
            Before::Settling(run) => {
                return halt(
                    Finding::waits(
                        reason::SUPERSEDING,
                        format!(
                            "commit {} takes over as soon as the clusters in flight of run {run} have settled",
                            goal.commit.short()
                        ),
                    )
                    .until(self.now + LOOK_AGAIN),
                );
            }
            Before::Queued(run) => {
                return halt(Finding::waits(
                    reason::QUEUED,
                    format!("commit {} waits until run {run} is over", goal.commit.short()),
                ));
            }
            Before::Clear => {}
        }
        if let Some(run) = release::foreign(self.seen) {
            let name = run.metadata.name.clone().unwrap_or_default();
            return halt(Finding::waits(
                reason::PLACEMENT_BUSY,
                format!(
                    "run {name}, which was not made for this Rollout, moves clusters of placement {}; it must be over, stopped or deleted first",
                    wanted.intent.placement
                ),
            ));
        }
        self.create(goal, bound)
    }

    pub(super) fn show(&mut self, commit: &str, index: Option<String>) {
        self.status.commit = Some(commit.to_owned());
        self.status.revision = Some(commit.chars().take(8).collect());
        self.status.index = index;
    }

    pub(super) fn create(
        &mut self,
        goal: &Goal<'_>,
        bound: Option<(SnapshotIndex, String)>,
    ) -> Flow<Finding> {
        let (commit, wanted) = (&goal.commit, goal.wanted.as_ref());
        let mut attempt = attempts(&self.status.history, &self.seen.runs, commit) + 1;
        let taken = |name: &str| {
            self.seen.runs.iter().any(|run| run.metadata.name.as_deref() == Some(name))
        };
        let mut name = run_name(&wanted.name.name, commit, attempt);
        while taken(&name) {
            attempt = attempt.saturating_add(1);
            name = run_name(&wanted.name.name, commit, attempt);
        }
        let (index, hash) = match &bound {
            Some((index, hash)) => (Some(*index), hash.as_str()),
            None => (None, ""),
        };
        let back = release::is_rollback(&self.status.history, commit, &wanted.digest);
        let strategy = match goal.is_back || back {
            true => wanted.rollback_strategy_name(),
            false => wanted.strategy_name(),
        };
        let spec = RunSpec {
            placement_name: wanted.intent.placement.clone(),
            resource_snapshot_index: index.map(|index| index.to_string()),
            staged_rollout_strategy_name: strategy.to_owned(),
            state: None,
        };
        if let Err(obstacle) = release::rehearse(self.seen, &name, &spec) {
            let hint = obstacle.hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
            let message = format!("no run is made, for it would fail: {}{hint}", obstacle.detail);
            if obstacle.passing {
                let message = format!("{}{hint}", obstacle.detail);
                return halt(Finding::waits(reason::WAITING, message).until(self.now + LOOK_AGAIN));
            }
            return halt(Finding::stalled(reason::PREFLIGHT_FAILED, message));
        }
        let number = self
            .seen
            .runs
            .iter()
            .filter_map(|run| crate::release::release_of(run).map(|(number, _)| number))
            .max()
            .unwrap_or_default()
            .max(self.status.history.len() as u64)
            + 1;
        let run = object::run(
            wanted,
            &RunFor { name: &name, commit, digest: &wanted.digest, strategy, index, hash, number },
        );
        self.orders.push(Order::CreateRun(run));
        self.show(commit.as_str(), index.map(|index| index.to_string()));
        halt(Finding::waits(
            reason::ROLLING_OUT,
            format!("run {name} is made for commit {}", commit.short()),
        ))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        api::run::{STATE_INITIALIZE, STATE_RUN},
        sync::decide::fixture::{OTHER, run, snapshot, told, web},
    };

    #[test]
    fn an_older_run_ends_first() {
        for (spec, state, orders, word) in [
            ("", STATE_RUN, "r Stop superseded", reason::SUPERSEDING),
            ("", STATE_INITIALIZE, "r deleted", reason::SUPERSEDING),
            ("  whenSuperseded: Queue\n", STATE_RUN, "", reason::QUEUED),
            ("  whenSuperseded: Queue\n", STATE_INITIALIZE, "r deleted", reason::SUPERSEDING),
        ] {
            let seen = run(snapshot(web(spec), true), OTHER, state, json!({}), "0", json!({}));
            assert_eq!(told(&seen), (orders.into(), word.into()), "{spec}{state}");
        }
    }
}
