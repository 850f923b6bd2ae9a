//! The run that rolls this content out: started, and told how it is.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{
    LOOK_AGAIN,
    apply::objects,
    bind::CAPTURE_SOON,
    desk::{Desk, Flow, halt},
    pin::Goal,
};
use crate::{
    api::{
        Run, condition,
        rollout::{BOUND, Release, reason},
        run::{INITIALIZED, STATE_INITIALIZE, STATE_STOP},
    },
    placement::snapshot::Group,
    release::{
        Content,
        ledger::{FAILURE, STOPPED_BY, annotation},
        prove, settling,
    },
    render::{Start, Wanted, object::STOPPED_FAILURE},
    rollout::{Cause, Phase, Progress},
    sync::{
        Order, release,
        status::{self, Finding, State},
    },
};

impl Desk<'_> {
    /// Looks after the run that rolls this content out.
    pub(super) fn drive(
        &mut self,
        goal: &Goal<'_>,
        content: &Content,
        newest: &Release,
    ) -> Flow<Finding> {
        let wanted = goal.wanted.as_ref();
        let revision: String = newest.commit.chars().take(8).collect();
        let index = newest.index.clone().unwrap_or_else(|| "?".to_owned());
        let Some(run) = self.current.clone() else {
            // Tidied up by a person after it was over.
            return Ok(Finding::new(
                State::Ready,
                reason::SUCCEEDED,
                format!("{revision} (index {index}) is rolled out"),
            ));
        };
        let progress = release::progress_of(&run, self.now);
        if release::state(&run) == STATE_INITIALIZE && !release::is_over(&run) {
            self.clear(goal, run.metadata.name.as_deref())?;
            self.start(wanted, content, &run)?;
        } else {
            self.end_others(run.metadata.name.as_deref().unwrap_or_default());
        }
        let text = status::describe(&newest.run, &revision, &index, &progress);
        if let Some(why) = stopped_for(&run) {
            let message = format!(
                "the failure policy stopped run {} of {revision} (index {index}): {why}; mend the clusters and resume it with `{}`, or push a commit that mends or reverts it",
                newest.run,
                by_hand(wanted, &newest.run)
            );
            return Ok(Finding::stalled(reason::FAILURE_POLICY, message));
        }
        let waits_for = status::causes(&progress);
        let by_hand = || by_hand(wanted, &newest.run);
        Ok(match progress.phase {
            Phase::Succeeded => Finding::new(
                State::Ready,
                reason::SUCCEEDED,
                format!("{revision} (index {index}) is on all {} clusters", progress.total),
            ),
            Phase::Failed => Finding::stalled(
                reason::RUN_FAILED,
                format!(
                    "run {} of {revision} failed: {}; push a new commit, or delete the run to try again",
                    newest.run,
                    progress.failure.clone().unwrap_or_default()
                ),
            ),
            Phase::Stopped => Finding::waits(reason::STOPPED, format!("{text}: {}", by_hand()))
                .waiting_for(format!("{waits_for}: {}", by_hand())),
            // Nobody has to: it was ordered in this pass.
            Phase::Initialized if wanted.intent.start == Start::Automatic => Finding::waits(
                reason::ROLLING_OUT,
                format!("run {} of {revision} (index {index}) is proved, and starts", newest.run),
            ),
            Phase::Initialized => {
                Finding::waits(reason::WAITING_FOR_START, format!("{text}: {}", by_hand()))
                    .waiting_for(format!("{waits_for}: {}", by_hand()))
            }
            Phase::Stuck => Finding::waits(reason::STUCK, text).waiting_for(waits_for),
            Phase::Stopping => Finding::waits(reason::STOPPED, text).waiting_for(waits_for),
            Phase::Waiting => Finding::waits(waited_on(&progress), text).waiting_for(waits_for),
            Phase::Pending | Phase::Updating => {
                Finding::waits(reason::ROLLING_OUT, text).waiting_for(waits_for)
            }
        })
    }

    /// Starts a run that has not begun: when its content is proved, and nobody wants to do it by hand.
    pub(super) fn start(&mut self, wanted: &Wanted, content: &Content, run: &Run) -> Flow<()> {
        let name = run.metadata.name.clone().unwrap_or_default();
        let named = run.spec.resource_snapshot_index.as_deref().is_some_and(|i| !i.is_empty());
        if !named {
            let conditions = run.status.as_ref().map(|s| s.conditions.as_slice());
            if !condition::is_true(conditions.unwrap_or_default(), INITIALIZED) {
                return halt(
                    Finding::waits(
                        reason::WAITING_FOR_SNAPSHOT,
                        format!("run {name} captures the content"),
                    )
                    .until(self.now + LOOK_AGAIN),
                );
            }
            let used = run.status.as_ref().and_then(|s| s.resource_snapshot_index_used.clone());
            let groups = Group::all(&self.seen.snapshots);
            let group = groups.iter().find(|group| Some(group.index.to_string()) == used);
            let Some(group) = group else {
                return halt(
                    Finding::waits(
                        reason::WAITING_FOR_SNAPSHOT,
                        format!("the snapshot that run {name} took is not seen yet"),
                    )
                    .until(self.now + LOOK_AGAIN),
                );
            };
            if let Err(difference) = prove(group, &content.objects, &content.namespaces) {
                self.orders.push(Order::DeleteRun { run: name, uid: run.metadata.uid.clone() });
                self.status.refused_index = used;
                self.status.unbound_since = Some(Time(condition::whole_seconds(self.now)));
                if let Some(settling) = settling(&groups, self.now) {
                    let due = settling.due.max(self.now + CAPTURE_SOON);
                    let text = format!("index {}: {difference}", group.index);
                    return self.settles(settling, &text, due);
                }
                let message =
                    format!("index {} was captured and is not run: {difference}", group.index);
                self.steps.failed(BOUND, reason::CONTENT_DIFFERS, message.clone());
                return halt(Finding::stalled(reason::CONTENT_DIFFERS, message));
            }
            let text =
                format!("index {} holds the {}", group.index, objects(content.objects.len()));
            self.steps.done(BOUND, reason::PROVED, text);
        }
        if wanted.intent.start == Start::Automatic {
            self.orders.push(Order::go(name));
        }
        Ok(())
    }
}

/// Returns the word for what a run at a gate waits for: a person, or time. A gate that is opening waits for neither.
fn waited_on(progress: &Progress) -> &'static str {
    let any = |is: fn(&Cause) -> bool| progress.waiting_on.iter().any(is);
    if any(|cause| matches!(cause, Cause::Approval { .. })) {
        reason::WAITING_FOR_APPROVAL
    } else if any(|cause| matches!(cause, Cause::Timer { .. })) {
        reason::WAITING
    } else {
        reason::ROLLING_OUT
    }
}

/// Returns what a person who may patch runs types to start or resume one.
fn by_hand(wanted: &Wanted, run: &str) -> String {
    let (kind, namespace) = match wanted.scope.namespace() {
        None => ("clusterstagedupdaterun", String::new()),
        Some(namespace) => ("stagedupdaterun", format!(" -n {namespace}")),
    };
    format!(
        "kubectl patch {kind} {run}{namespace} --type merge --patch '{{\"spec\":{{\"state\":\"Run\"}}}}'"
    )
}

/// Returns why the failure policy stopped a run that still is stopped for it.
fn stopped_for(run: &Run) -> Option<&str> {
    let stopped = !release::is_over(run)
        && release::state(run) == STATE_STOP
        && annotation(run, STOPPED_BY) == Some(STOPPED_FAILURE);
    stopped.then(|| annotation(run, FAILURE).unwrap_or("no reason is noted"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        api::run::STATE_RUN,
        sync::decide::fixture::{condition_of, digest, pass, run, shown, snapshot, told, web},
    };

    #[test]
    fn the_run_of_the_same_content_is_started_once_and_only_when_automatic() {
        for (spec, state, orders) in [
            ("", STATE_INITIALIZE, "r Run -"),
            ("", STATE_RUN, ""),
            ("  start: Manual\n", STATE_INITIALIZE, ""),
        ] {
            let seen = snapshot(web(spec), true);
            let own = digest(&seen);
            let seen = run(seen, &own, state, json!({}), "0", json!({}));
            assert_eq!(told(&seen).0, orders, "{spec}{state}");
        }
    }

    #[test]
    fn a_person_is_asked_to_start_only_what_is_to_be_started_by_hand() {
        let initialized = json!({"conditions": [condition_of(INITIALIZED, "True", "R", "")]});
        for (spec, word) in
            [("", reason::ROLLING_OUT), ("  start: Manual\n", reason::WAITING_FOR_START)]
        {
            let seen = snapshot(web(spec), true);
            let own = digest(&seen);
            let seen = run(seen, &own, STATE_INITIALIZE, json!({}), "0", initialized.clone());
            let pass = pass(&seen);
            assert_eq!(shown(&pass).1, word, "{spec}");
            let asked = pass.status.message.unwrap_or_default().contains("kubectl patch");
            assert_eq!(asked, !spec.is_empty());
        }
    }

    #[test]
    fn a_timed_wait_is_not_called_a_wait_for_a_person() {
        let seen = run(web(""), "x", STATE_RUN, json!({}), "0", json!({}));
        let mut progress =
            release::progress_of(&seen.runs[0], "2026-01-01T00:00:00Z".parse().unwrap());
        let stage = || "canary".to_owned();
        let timer = Cause::Timer { stage: stage(), until: "2026-01-01T01:00:00Z".parse().unwrap() };
        let gate = Cause::Approval { request: "r".into(), stage: stage(), since: None };
        for (waiting_on, word) in [
            (vec![timer.clone()], reason::WAITING),
            (vec![gate.clone()], reason::WAITING_FOR_APPROVAL),
            (vec![timer, gate], reason::WAITING_FOR_APPROVAL),
            (vec![], reason::ROLLING_OUT),
        ] {
            progress.waiting_on = waiting_on;
            assert_eq!(waited_on(&progress), word);
        }
    }

    #[test]
    fn content_that_no_snapshot_holds_is_never_run() {
        let word = reason::WAITING_FOR_SNAPSHOT;
        assert_eq!(told(&web("")), (String::new(), word.into()));
        assert_eq!(told(&snapshot(web(""), false)), (String::new(), word.into()));
        let captured = json!({"resourceSnapshotIndexUsed": "0", "conditions": [{"type": INITIALIZED,
            "status": "True", "reason": "R", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}]});
        for (status, orders, word) in
            [(json!({}), "", word), (captured, "r deleted", reason::CONTENT_DIFFERS)]
        {
            let seen = snapshot(web(""), false);
            let own = digest(&seen);
            let seen = run(seen, &own, STATE_INITIALIZE, json!({}), "", status);
            assert_eq!(told(&seen), (orders.into(), word.into()));
        }
    }
}
