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
    render::{
        Nature, WhenSuperseded,
        object::{self, RunFor},
    },
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
        self.check_strategy(goal, self.next_strategy(goal))?;
        self.clear(goal, None)?;
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

    /// Ends our other runs, as the Rollout wants it.
    pub(super) fn clear(&mut self, goal: &Goal<'_>, except: Option<&str>) -> Flow<()> {
        let policy = goal.wanted.intent.when_superseded;
        match release::supersede(self.seen, except, policy, self.now) {
            Before::Clear => Ok(()),
            Before::Orders(orders) => {
                self.orders.extend(orders);
                halt(Finding::waits(
                    reason::SUPERSEDING,
                    format!("commit {} takes over", goal.commit.short()),
                ))
            }
            Before::Settling(run) => {
                let message = format!(
                    "commit {} takes over as soon as the clusters in flight of run {run} have settled",
                    goal.commit.short()
                );
                let wake = self.now + LOOK_AGAIN;
                halt(Finding::waits(reason::SUPERSEDING, message).until(wake))
            }
            Before::Queued(run) => halt(Finding::waits(
                reason::QUEUED,
                format!("commit {} waits until run {run} is over", goal.commit.short()),
            )),
        }
    }

    /// Orders the end of our runs beside one that has taken over already, and waits for none.
    pub(super) fn end_others(&mut self, run: &str) {
        let others = release::supersede(self.seen, Some(run), WhenSuperseded::Stop, self.now);
        if let Before::Orders(orders) = others {
            self.orders.extend(orders);
        }
    }

    pub(super) fn show(&mut self, commit: &str, index: Option<String>) {
        self.status.commit = Some(commit.to_owned());
        self.status.revision = Some(commit.chars().take(8).collect());
        self.status.index = index;
    }

    /// Returns the strategy that a run for the content would have.
    fn next_strategy<'g>(&self, goal: &'g Goal<'_>) -> &'g str {
        let (commit, wanted) = (&goal.commit, goal.wanted.as_ref());
        let back = release::is_rollback(&self.status.history, commit, &wanted.digest);
        match goal.is_back || back {
            true => wanted.rollback_strategy_name(),
            false => wanted.strategy_name(),
        }
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
        let strategy = self.next_strategy(goal);
        let spec = RunSpec {
            placement_name: wanted.intent.placement.clone(),
            resource_snapshot_index: index.map(|index| index.to_string()),
            staged_rollout_strategy_name: strategy.to_owned(),
            state: None,
        };
        if let Err(obstacle) = release::rehearse(self.seen, &name, &spec) {
            let hint = obstacle.hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
            let message = format!("no run is made, for it would fail: {}{hint}", obstacle.detail);
            if obstacle.nature == Nature::Passing {
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
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;
    use crate::{
        api::{
            meta,
            rollout::{OUTCOME_DELETED, OUTCOME_SUCCEEDED, OUTCOME_SUPERSEDED, Release},
            run::{STATE_INITIALIZE, STATE_RUN, STATE_STOP},
        },
        sync::{
            Seen,
            decide::fixture::{
                COMMIT, OTHER, also, fleet, pass, run, shown, snapshot, succeeded, told, wanting,
                web,
            },
        },
    };

    const GOOD: &str = "00112233445566778899aabbccddeeff00112233";
    const PICKED: &[(&str, &str, &str)] = &[("a", "Bound", "7"), ("b", "Scheduled", "")];

    fn remembering(mut seen: Seen, history: &[(&str, &str, &str, &str)]) -> Seen {
        let mut rollout = (*seen.rollout.take().unwrap()).clone();
        let release = |(run, commit, digest, outcome): &(&str, &str, &str, &str)| Release {
            run: (*run).into(),
            commit: (*commit).into(),
            content_digest: (*digest).into(),
            outcome: (*outcome).into(),
            ..Release::default()
        };
        rollout.status.get_or_insert_default().history = history.iter().map(release).collect();
        seen.rollout = Some(Arc::new(rollout));
        seen
    }

    fn made(seen: &Seen) -> Value {
        let orders = pass(seen).orders;
        let [Order::CreateRun(run)] = orders.as_slice() else { panic!("{orders:?}") };
        run.clone()
    }

    #[test]
    fn a_run_is_made_for_this_commit_its_proved_index_and_its_strategy() {
        let rollback = "  rollback: {strategyName: fast}\n";
        let own = wanting("", "new").digest.to_string();
        let own = own.as_str();
        for (spec, history, want) in [
            ("", vec![], "web-3f2a91c0 slow Run 1"),
            ("  start: Manual\n", vec![], "web-3f2a91c0 slow Initialize 1"),
            ("", vec![("x", COMMIT, own, OUTCOME_DELETED)], "web-3f2a91c0-2 slow Run 2"),
            // Counted over all that is known, whatever became of it.
            (
                "",
                vec![("x", COMMIT, own, OUTCOME_SUPERSEDED), ("y", COMMIT, own, OUTCOME_DELETED)],
                "web-3f2a91c0-3 slow Run 3",
            ),
            ("", vec![("x", GOOD, OTHER, OUTCOME_SUCCEEDED)], "web-3f2a91c0 slow Run 2"),
            // Back to what another commit had everywhere: the quick lane, if there is one.
            (
                rollback,
                vec![("x", GOOD, own, OUTCOME_SUCCEEDED), ("y", GOOD, OTHER, OUTCOME_SUCCEEDED)],
                "web-3f2a91c0 fast Run 3",
            ),
            (
                "",
                vec![("x", GOOD, own, OUTCOME_SUCCEEDED), ("y", GOOD, OTHER, OUTCOME_SUCCEEDED)],
                "web-3f2a91c0 slow Run 3",
            ),
            (rollback, vec![("x", GOOD, own, OUTCOME_SUPERSEDED)], "web-3f2a91c0 slow Run 2"),
        ] {
            let seen = fleet(snapshot(web(spec), true), PICKED);
            let seen = remembering(seen, &history);
            let run = made(&seen);
            let text = |at: &str| run.pointer(at).and_then(Value::as_str).unwrap().to_owned();
            let annotations = &run["metadata"]["annotations"];
            let number = annotations[crate::release::ledger::RELEASE].as_str().unwrap();
            assert_eq!(
                format!(
                    "{} {} {} {number}",
                    text("/metadata/name"),
                    text("/spec/stagedRolloutStrategyName"),
                    text("/spec/state"),
                ),
                want,
                "{history:?}"
            );
            assert_eq!(text("/spec/resourceSnapshotIndex"), "0");
            assert_eq!(text("/spec/placementName"), "web");
            assert_eq!(annotations[meta::ROLLOUT], "web");
            assert_eq!(annotations[meta::COMMIT], COMMIT);
            assert_eq!(annotations[meta::CONTENT_DIGEST], own);
        }
    }

    #[test]
    fn a_name_that_somebody_took_is_left_to_them() {
        let mut seen = fleet(snapshot(web(""), true), PICKED);
        let theirs = json!({"apiVersion": "placement.kubernetes-fleet.io/v1beta1", "kind": "ClusterStagedUpdateRun",
            "metadata": {"name": "web-3f2a91c0"}, "spec": {"placementName": "web", "stagedRolloutStrategyName": "s"}});
        seen.runs.push(Arc::new(serde_json::from_value(theirs).unwrap()));
        assert_eq!(made(&seen)["metadata"]["name"], "web-3f2a91c0-2");
    }

    #[test]
    fn content_that_no_snapshot_has_is_captured_by_a_run_that_waits_for_proof() {
        let mut seen = fleet(web(""), PICKED);
        seen.patience = jiff::SignedDuration::ZERO;
        let run = made(&seen);
        assert_eq!(run["spec"]["state"], STATE_INITIALIZE);
        assert!(run["spec"].get("resourceSnapshotIndex").is_none());
    }

    #[test]
    fn nothing_is_rolled_out_when_it_is_everywhere_and_only_then() {
        let (none, some) =
            (("", reason::NO_CHANGE), ("web-3f2a91c0 made in Run", reason::ROLLING_OUT));
        for (bindings, want) in [
            (vec![("a", "Bound", "0"), ("b", "Bound", "0")], none),
            (vec![("a", "Bound", "0"), ("b", "Bound", "1")], some),
            (vec![("a", "Bound", "0"), ("b", "Scheduled", "0")], some),
            (vec![("a", "Bound", "0"), ("b", "Unscheduled", "0")], some),
        ] {
            let seen = fleet(snapshot(web(""), true), &bindings);
            assert_eq!(told(&seen), (want.0.into(), want.1.into()), "{bindings:?}");
            let status = pass(&seen).status;
            assert_eq!(
                (status.commit.as_deref(), status.index.as_deref()),
                (Some(COMMIT), Some("0"))
            );
        }
        let nobody = pass(&fleet(snapshot(web(""), true), &[]));
        assert_eq!(
            shown(&nobody),
            (String::new(), reason::WAITING.into()),
            "no cluster is not every cluster"
        );
    }

    #[test]
    fn a_run_that_moves_clusters_and_is_not_ours_goes_first() {
        for (state, status, want) in [
            (STATE_RUN, json!({}), ("", reason::PLACEMENT_BUSY)),
            (STATE_RUN, succeeded(), ("web-3f2a91c0 made in Run", reason::ROLLING_OUT)),
            (STATE_STOP, json!({}), ("web-3f2a91c0 made in Run", reason::ROLLING_OUT)),
            (STATE_INITIALIZE, json!({}), ("web-3f2a91c0 made in Run", reason::ROLLING_OUT)),
        ] {
            let mut seen = fleet(snapshot(web(""), true), PICKED);
            let theirs = json!({"apiVersion": "placement.kubernetes-fleet.io/v1beta1", "kind": "ClusterStagedUpdateRun",
                "metadata": {"name": "theirs"}, "status": status,
                "spec": {"placementName": "web", "stagedRolloutStrategyName": "s", "state": state}});
            seen.runs.push(Arc::new(serde_json::from_value(theirs).unwrap()));
            assert_eq!(told(&seen), (want.0.into(), want.1.into()), "{state}");
        }
    }

    #[test]
    fn what_is_in_flight_settles_before_the_next_run_unless_it_is_given_up() {
        use crate::release::ledger::{FAILURE, STOPPED_BY};
        let marked = json!({ STOPPED_BY: "superseded" });
        let failed = json!({ STOPPED_BY: "superseded", FAILURE: "a is stuck" });
        let of = |word: &str| {
            let mut going =
                crate::sync::decide::fixture::in_flight(&[("a", "2025-12-31T23:59:00Z")]);
            going["conditions"][1]["reason"] = word.into();
            going
        };
        use crate::api::run::reason as word;
        let next = ("web-3f2a91c0 made in Run", reason::ROLLING_OUT);
        for (noted, status, want) in [
            (&marked, of(word::RUN_STOPPING), ("", reason::SUPERSEDING)),
            (&marked, of(word::RUN_STOPPED), next),
            (&marked, of(word::RUN_STUCK), next),
            (&failed, of(word::RUN_STOPPING), next),
            (&json!({}), of(word::RUN_STOPPED), ("old Stop superseded", reason::SUPERSEDING)),
        ] {
            let seen = fleet(snapshot(web(""), true), PICKED);
            let seen = also(seen, 0, ("old", GOOD, OTHER), noted.clone(), status);
            assert_eq!(told(&seen), (want.0.into(), want.1.into()), "{noted}");
        }
    }

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
