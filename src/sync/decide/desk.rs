//! The order of judgements, and what they share.

use std::sync::Arc;

use jiff::Timestamp;

use super::pin::Goal;
use crate::{
    api::{
        Run, condition,
        rollout::{
            OUTCOME_ACTIVE, OUTCOME_SUPERSEDED, READY, RolloutSpec, RolloutStatus, SOURCE_VERIFIED,
            reason,
        },
    },
    model::CommitId,
    release::ledger::ledger,
    render::Wanted,
    rollout::Progress,
    sync::{
        Git, Order, Pass, Seen, Tip, approval, release,
        status::{self, Finding, Steps},
    },
};

/// Decides the next step for one Rollout.
///
/// Deterministic: equal arguments give equal passes. The status claims only what `seen` shows.
pub fn decide(seen: &Seen, now: Timestamp) -> Pass {
    let held = seen.rollout.as_ref().and_then(|rollout| rollout.status.clone());
    let mut desk = Desk {
        seen,
        now,
        status: held.unwrap_or_default(),
        steps: Steps::default(),
        orders: Vec::new(),
        current: None,
    };
    desk.rebuild_ledger();
    let finding = match &seen.git {
        Git::Pending(why) => {
            desk.follow(None);
            desk.guard_without_goal(Finding::waits(reason::WAITING, why.clone()).quietly())
        }
        Git::Unread(why) => {
            desk.steps.under_way(SOURCE_VERIFIED, reason::WAITING, why.clone());
            desk.follow(None);
            desk.guard_without_goal(Finding::waits(reason::WAITING, why.clone()))
        }
        Git::Tip(tip) => desk.tip(tip),
    };
    desk.finish(finding)
}

/// A pass in the making.
pub(super) struct Desk<'a> {
    pub(super) seen: &'a Seen,
    pub(super) now: Timestamp,
    pub(super) status: RolloutStatus,
    pub(super) steps: Steps,
    pub(super) orders: Vec<Order>,
    /// The run that rolls out now, or was the last to.
    pub(super) current: Option<Arc<Run>>,
}

/// A step was ordered: the rest of the pass waits for it.
pub(super) enum Halt {
    /// With these words.
    At(Finding),
}

pub(super) type Flow<T> = Result<T, Halt>;

/// What is so, whether the pass went through or was halted.
fn settled(flow: Flow<Finding>) -> Finding {
    match flow {
        Ok(finding) | Err(Halt::At(finding)) => finding,
    }
}

pub(super) fn halt<T>(finding: Finding) -> Flow<T> {
    Err(Halt::At(finding))
}

impl Desk<'_> {
    pub(super) fn spec(&self) -> RolloutSpec {
        self.seen.rollout.as_ref().map(|rollout| rollout.spec.clone()).unwrap_or_default()
    }

    pub(super) fn annotation(&self, key: &str) -> Option<&str> {
        let annotations = self.seen.rollout.as_ref()?.metadata.annotations.as_ref()?;
        annotations.get(key).map(String::as_str)
    }

    pub(super) fn rebuild_ledger(&mut self) {
        let limit = self.spec().history.unwrap_or(10).clamp(1, 100) as usize;
        let ours: Vec<Arc<Run>> = release::ours(self.seen).cloned().collect();
        self.status.history = ledger(&self.status.history, &ours, limit, self.now);
        let newest = self.status.history.last().map(|release| release.run.clone());
        self.current = newest.and_then(|name| {
            ours.into_iter().find(|run| run.metadata.name.as_deref() == Some(name.as_str()))
        });
    }

    pub(super) fn progress(&self) -> Option<Progress> {
        self.current.as_ref().map(|run| release::progress_of(run, self.now))
    }

    /// Keeps what depends on the run alone up to date: approvals and columns.
    pub(super) fn follow(&mut self, next: Option<&CommitId>) {
        let mut records = std::mem::take(&mut self.status.approvals);
        let current = self.current.clone();
        let running = current.as_deref().filter(|run| !release::is_over(run));
        let suspended = self.spec().suspend == Some(true);
        if !suspended {
            let orders =
                approval::review(&self.seen.requests, &mut records, running, next, self.now);
            self.orders.extend(orders);
        }
        self.status.approvals = records;
        self.status.plan =
            current.as_deref().and_then(approval::plan).map(|digest| digest.to_string());
        if let Some(release) = self.status.history.last() {
            self.status.run = Some(release.run.clone());
        }
    }

    pub(super) fn tip(&mut self, tip: &Tip) -> Finding {
        let read = self.accept(tip).and_then(|()| {
            self.follow(Some(&tip.content_commit));
            self.rendered(tip)
        });
        let wanted = match read {
            Ok(wanted) => wanted,
            Err(Halt::At(finding)) => return self.guard_without_goal(finding),
        };
        settled(self.work(tip, wanted))
    }

    /// Works towards what Git wants.
    fn work(&mut self, tip: &Tip, wanted: &Wanted) -> Flow<Finding> {
        self.write_rollout(wanted)?;
        self.suspend()?;
        self.single()?;
        let goal = self.goal(tip, wanted)?;
        self.resume(&goal)?;
        let wake = self.guard(&goal)?;
        let finding = settled(self.bring(tip, &goal));
        let finding = self.tell_pin(&goal, finding);
        Ok(Finding { wake: finding.wake.into_iter().chain(wake).min(), ..finding })
    }

    fn bring(&mut self, tip: &Tip, goal: &Goal<'_>) -> Flow<Finding> {
        let content = self.apply(tip, goal)?;
        let bound = self.bind(&goal.wanted, &content)?;
        let finding = self.release(goal, &content, bound)?;
        Ok(self.tell_strategies(goal, finding))
    }

    pub(super) fn finish(mut self, finding: Finding) -> Pass {
        let progress = self.progress();
        let newest = self.status.history.last().cloned();
        if let Some(release) = newest.filter(|release| {
            [OUTCOME_ACTIVE, OUTCOME_SUPERSEDED].contains(&release.outcome.as_str())
                && self.status.commit.is_none()
        }) {
            self.show(&release.commit, release.index);
        }
        let generation = self
            .seen
            .rollout
            .as_ref()
            .and_then(|rollout| rollout.metadata.generation)
            .unwrap_or_default();
        let is_told = condition::find(&self.status.conditions, READY).is_some();
        if !(finding.is_quiet && is_told) {
            status::record(
                &mut self.status,
                &finding,
                std::mem::take(&mut self.steps),
                progress.as_ref(),
                generation,
                self.now,
            );
        }
        self.show_pin(generation);
        Pass { status: self.status, orders: self.orders, wake: finding.wake }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        api::{
            meta,
            run::{STATE_INITIALIZE, STATE_RUN, STATE_STOP},
        },
        release::ledger::{FAILURE, ROLLED_BACK_TO, STOPPED_BY, annotation},
        sync::decide::fixture::{
            COMMIT, OTHER, also, digest, fleet, pass, snapshot, succeeded, web,
        },
    };

    const BEFORE: &str = "00112233445566778899aabbccddeeff00112233";

    /// Everything that a run of a placement may be.
    fn kinds(own: &str) -> Vec<(&str, &'static str, Value, Value)> {
        let mut kinds = Vec::new();
        let notes = [
            json!({}),
            json!({STOPPED_BY: "superseded"}),
            json!({STOPPED_BY: "suspend"}),
            json!({STOPPED_BY: "failure-policy", FAILURE: "late"}),
            json!({STOPPED_BY: "failure-policy", FAILURE: "late", ROLLED_BACK_TO: BEFORE}),
            json!({meta::ROLLOUT: "somebody"}),
        ];
        for digest in [own, OTHER] {
            for state in [STATE_INITIALIZE, STATE_RUN, STATE_STOP] {
                for note in &notes {
                    for status in [json!({}), succeeded()] {
                        kinds.push((digest, state, note.clone(), status));
                    }
                }
            }
        }
        kinds
    }

    /// Returns how many runs of ours move clusters.
    fn active(seen: &Seen) -> usize {
        release::ours(seen)
            .filter(|run| !release::is_over(run) && release::state(run) == STATE_RUN)
            .count()
    }

    fn carry_out(seen: &mut Seen, order: Order) {
        match order {
            Order::SetRunState { run, state, annotations } => {
                for held in &mut seen.runs {
                    if held.metadata.name.as_deref() == Some(&run) {
                        let mut next = Run::clone(held);
                        next.spec.state = Some(state.to_owned());
                        let notes = next.metadata.annotations.get_or_insert_default();
                        for (key, value) in &annotations {
                            match value {
                                Some(value) => notes.insert((*key).to_owned(), value.clone()),
                                None => notes.remove(*key),
                            };
                        }
                        *held = Arc::new(next);
                    }
                }
            }
            Order::DeleteRun { run, .. } => {
                seen.runs.retain(|held| held.metadata.name.as_deref() != Some(&run));
            }
            Order::CreateRun(run) => {
                seen.runs.push(Arc::new(serde_json::from_value(run).unwrap()));
            }
            _ => {}
        }
    }

    #[test]
    fn whatever_runs_there_are_never_do_two_of_ours_go() {
        let specs = [
            ("", false),
            ("", true),
            ("  whenSuperseded: Queue\n", false),
            ("  failure: {progressDeadline: 1s}\n", false),
        ];
        for (turn, (spec, suspended)) in specs.into_iter().enumerate() {
            let mut ground = fleet(snapshot(web(spec), true), &[("a", "Scheduled", "")]);
            let mut rollout = (*ground.rollout.take().unwrap()).clone();
            rollout.spec.suspend = Some(suspended);
            ground.rollout = Some(Arc::new(rollout));
            let own = digest(&ground);
            let kinds = kinds(&own);
            for (i, first) in kinds.iter().enumerate() {
                // Every pair comes up with one of the specs.
                for (j, second) in kinds.iter().enumerate() {
                    if (i + j) % 4 != turn {
                        continue;
                    }
                    let mut seen = ground.clone();
                    for (at, (digest, state, note, status)) in
                        [first, second].into_iter().enumerate()
                    {
                        let number = u32::try_from(at).unwrap();
                        let commit = if *digest == own { COMMIT } else { BEFORE };
                        let name = format!("r{at}");
                        seen = also(
                            seen,
                            number,
                            (&name, commit, digest),
                            note.clone(),
                            status.clone(),
                        );
                        let mut run = Run::clone(seen.runs.last().unwrap());
                        run.spec.state = Some((*state).to_owned());
                        run.spec.resource_snapshot_index = Some("0".into());
                        *seen.runs.last_mut().unwrap() = Arc::new(run);
                    }
                    let orders = pass(&seen).orders;
                    let story = format!("{spec}{first:?}\n{second:?}\n{orders:?}");
                    let makes = orders.iter().any(|order| matches!(order, Order::CreateRun(_)));
                    if makes {
                        assert_eq!(active(&seen), 0, "one is made while another goes: {story}");
                        let foreign = release::foreign(&seen);
                        assert!(foreign.is_none(), "somebody else's goes: {story}");
                    }
                    for order in &orders {
                        if let Order::SetRunState { run, .. } = order {
                            let held =
                                seen.runs.iter().find(|r| r.metadata.name.as_ref() == Some(run));
                            let owner = annotation(held.unwrap(), meta::ROLLOUT);
                            assert_eq!(owner, Some("web"), "{story}");
                        }
                    }
                    // One pass is enough, whatever people did.
                    for order in orders {
                        carry_out(&mut seen, order);
                    }
                    let most = usize::from(!suspended);
                    assert!(active(&seen) <= most, "more than {most} go: {story}");
                }
            }
        }
    }
}
