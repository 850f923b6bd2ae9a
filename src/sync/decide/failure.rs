//! The failure policy, carried out on a run in which too much is stuck, or nothing moves.
//!
//! It acts once per commit. That it did is written on the run with the same patch that stops it, and from there into the
//! ledger: a restart finds it, and a run that somebody resumed is left to them.

use jiff::Timestamp;

use super::{
    desk::{Desk, Flow, Halt, halt},
    judge::{Policy, Verdict, judge},
    pin::Goal,
};
use crate::{
    api::{
        meta,
        rollout::{OUTCOME_SUCCEEDED, Release, reason},
        run::STATE_RUN,
    },
    release::ledger::{FAILURE, ROLLED_BACK_TO, annotation},
    render::object::STOPPED_FAILURE,
    sync::{Order, release, status::Finding},
};

impl Desk<'_> {
    /// Carries out the failure policy on the run that goes, whatever else is waited for. Returns when to look again if
    /// nothing happens.
    pub(super) fn guard(&mut self, goal: &Goal<'_>) -> Flow<Option<Timestamp>> {
        // A way back is not taken back.
        if goal.is_back {
            return Ok(None);
        }
        self.judge_run(Policy::of(&goal.wanted.intent), Some(goal.wanted.digest.as_str()))
    }

    /// Carries out the failure policy of the last good spec while nobody knows what Git wants now: the run goes on, and so
    /// does what it is judged by. The way back is noted; it is taken when Git still wants what failed.
    pub(super) fn guard_without_goal(&mut self, finding: Finding) -> Finding {
        let spec = self.spec();
        let is_back = self.status.pinned.is_some();
        if is_back || spec.suspend == Some(true) {
            return finding;
        }
        match self.judge_run(Policy::held(&spec), None) {
            Ok(wake) => Finding { wake: finding.wake.into_iter().chain(wake).min(), ..finding },
            Err(Halt::At(stopped)) => {
                let message = format!("{}; {}", finding.message, stopped.message);
                Finding { message, is_quiet: false, ..finding }
            }
        }
    }

    /// Stops the run if it failed. `wanted` is the digest that Git asks for, where that is known.
    fn judge_run(&mut self, policy: Policy, wanted: Option<&str>) -> Flow<Option<Timestamp>> {
        let Some(run) = self.current.clone().filter(|run| !release::is_over(run)) else {
            return Ok(None);
        };
        let commit = annotation(&run, meta::COMMIT).unwrap_or_default();
        let acted = self
            .status
            .history
            .iter()
            .any(|release| release.commit == commit && release.failure.is_some());
        if acted || release::state(&run) != STATE_RUN {
            return Ok(None);
        }
        let why = match judge(policy, &release::progress_of(&run, self.now), self.now) {
            Verdict::Fine(wake) => return Ok(wake),
            Verdict::Failed(why) => why,
        };
        let name = run.metadata.name.clone().unwrap_or_default();
        let message = format!("the failure policy stops run {name}: {why}");
        let mut notes = vec![(FAILURE, why)];
        // Where other content is wanted by now, that is the way on.
        let failed = annotation(&run, meta::CONTENT_DIGEST)
            .filter(|own| policy.rolls_back && wanted.is_none_or(|wanted| wanted == *own));
        let good = failed.and_then(|digest| way_back(&self.status.history, digest));
        notes.extend(good.map(|good| (ROLLED_BACK_TO, good.commit.clone())));
        self.orders.push(Order::stop_noting(name, STOPPED_FAILURE, notes));
        halt(Finding::waits(reason::FAILURE_POLICY, message))
    }
}

/// Returns the newest release that finished everywhere, unless it is the very content that failed now.
fn way_back<'a>(history: &'a [Release], digest: &str) -> Option<&'a Release> {
    let good = history.iter().rev().find(|release| release.outcome == OUTCOME_SUCCEEDED);
    good.filter(|release| release.content_digest != digest)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        api::Run,
        sync::{
            Git, News, Seen,
            decide::fixture::{
                COMMIT, OTHER, also, digest, in_flight, pass, run, running, shown, snapshot,
                succeeded, web,
            },
        },
    };

    const GOOD: &str = "00112233445566778899aabbccddeeff00112233";

    #[test]
    fn the_pass_wakes_for_the_deadline_and_acts_on_it_once_per_commit() {
        let spec = "  failure: {progressDeadline: 10m}\n";
        let seen = running(spec, &[("a", "2025-12-31T23:59:00Z")]);
        let fine = pass(&seen);
        assert_eq!(shown(&fine), (String::new(), reason::ROLLING_OUT.into()));
        assert_eq!(fine.wake, Some("2026-01-01T00:09:00Z".parse().unwrap()));

        let late = [("a", "2025-12-31T23:00:00Z")];
        let stopped = "r Stop failure-policy";
        assert_eq!(shown(&pass(&running(spec, &late))).0, stopped);
        // Resumed by hand.
        let seen = snapshot(web(spec), true);
        let own = digest(&seen);
        let noted = json!({ FAILURE: "nothing moved" });
        let resumed = run(seen.clone(), &own, STATE_RUN, noted.clone(), "0", in_flight(&late));
        assert_eq!(shown(&pass(&resumed)).0, "");
        // Deleted by hand, and made again.
        let again = run(seen.clone(), &own, STATE_RUN, json!({}), "0", in_flight(&late));
        let before = |commit| also(again.clone(), 0, ("q", commit, &own), noted.clone(), json!({}));
        assert_eq!(shown(&pass(&before(COMMIT))).0, "q Stop superseded");
        assert_eq!(shown(&pass(&before(GOOD))).0, "r Stop failure-policy");
        // Stopped by somebody else in the meantime.
        let other = run(seen, &own, crate::api::run::STATE_STOP, json!({}), "0", in_flight(&late));
        assert_eq!(shown(&pass(&other)).0, "");
    }

    #[test]
    fn a_run_is_judged_also_while_a_newer_commit_waits_for_its_end() {
        let spec =
            "  whenSuperseded: Queue\n  failure: {progressDeadline: 10m, action: Rollback}\n";
        let (late, recent) = ("2025-12-31T23:00:00Z", "2025-12-31T23:59:00Z");
        let older = |state: &str, note, started| {
            let seen = also(snapshot(web(spec), true), 0, ("q", GOOD, "x"), json!({}), succeeded());
            let past = seen.runs.clone();
            let mut seen = run(seen, OTHER, state, note, "0", in_flight(&[("a", started)]));
            seen.runs.splice(0..0, past);
            pass(&seen)
        };
        let queued = older(STATE_RUN, json!({}), recent);
        assert_eq!(shown(&queued), (String::new(), reason::QUEUED.into()));
        assert_eq!(queued.wake, Some("2026-01-01T00:09:00Z".parse().unwrap()));
        let stopped = older(STATE_RUN, json!({}), late);
        assert_eq!(shown(&stopped).0, "r Stop failure-policy");
        let Order::SetRunState { annotations, .. } = &stopped.orders[0] else { panic!() };
        assert!(!annotations.contains_key(ROLLED_BACK_TO), "the newer commit is the way on");
        // And then it takes over: nobody waits for what was given up.
        let note = json!({FAILURE: "late", crate::release::ledger::STOPPED_BY: STOPPED_FAILURE});
        let next = older(crate::api::run::STATE_STOP, note, late);
        assert_eq!(shown(&next), ("r Stop superseded".into(), reason::SUPERSEDING.into()));
        let by_hand = older(crate::api::run::STATE_STOP, json!({}), late);
        assert_eq!(shown(&by_hand), (String::new(), reason::QUEUED.into()));
    }

    #[test]
    fn the_way_back_is_the_newest_that_finished_everywhere() {
        let late = [("a", "2025-12-31T23:00:00Z")];
        for (action, digests, want) in [
            ("Rollback", [OTHER, "x"], Some(GOOD)),
            ("Rollback", ["x", "same"], None),
            ("Rollback", ["same", "x"], Some(GOOD)),
            ("Stop", [OTHER, "x"], None),
        ] {
            let spec = format!("  failure: {{progressDeadline: 10m, action: {action}}}\n");
            let mut seen = running(&spec, &late);
            let own = digest(&seen);
            seen.runs.clear();
            for (number, content) in digests.into_iter().enumerate() {
                let commit =
                    if number == 1 { GOOD } else { "ff112233445566778899aabbccddeeff00112233" };
                let content = if content == "same" { &own } else { content };
                let number = u32::try_from(number).unwrap();
                let name = format!("old{number}");
                seen = also(seen, number, (&name, commit, content), json!({}), succeeded());
            }
            seen = also(seen, 5, ("r", COMMIT, &own), json!({}), in_flight(&late));
            let mut newest = Run::clone(&seen.runs[2]);
            newest.spec.state = Some(STATE_RUN.into());
            newest.spec.resource_snapshot_index = Some("0".into());
            seen.runs[2] = std::sync::Arc::new(newest);
            // Whether or not anybody could read Git at that moment: a restart must not cost the way back.
            for unread in [false, true] {
                if unread {
                    seen.git = Git::Unread("not read yet".into());
                }
                let orders = pass(&seen).orders;
                let [Order::SetRunState { annotations, .. }] = orders.as_slice() else {
                    panic!("{orders:?}")
                };
                let to = annotations.get(ROLLED_BACK_TO).and_then(Option::as_deref);
                assert_eq!(to, want, "{action} {digests:?} {unread}");
                assert!(annotations[FAILURE].as_deref().unwrap().contains("a (stage all)"));
            }
        }
    }

    /// The run goes on while Git cannot be read, or says what nobody understands, and so does what it is judged by.
    #[test]
    fn a_run_is_judged_while_nobody_knows_what_git_wants() {
        let rollback = "  failure: {progressDeadline: 10m, action: Rollback}\n";
        let wait = "  failure: {progressDeadline: 10m, action: Wait}\n";
        let (late, recent) = ("2025-12-31T23:00:00Z", "2025-12-31T23:59:00Z");
        let faults = |seen: &mut Seen| {
            let Git::Tip(tip) = &mut seen.git else { panic!("no tip") };
            tip.wanted = Err(Vec::new());
        };
        let down = |seen: &mut Seen| seen.git = Git::Unread("the server is down".into());
        let rewritten = |seen: &mut Seen| {
            let Git::Tip(tip) = &mut seen.git else { panic!("no tip") };
            tip.news = News::Rewritten { why: "set back".into(), policy_commit: None };
        };
        type Turn = fn(&mut Seen);
        let cases: [(Turn, &str); 3] = [
            (faults, reason::INVALID),
            (down, reason::WAITING),
            (rewritten, reason::HISTORY_REWRITTEN),
        ];
        for (turn, word) in cases {
            for (spec, started, orders, wake) in [
                (rollback, late, "r Stop failure-policy", None),
                (rollback, recent, "", Some("2026-01-01T00:09:00Z")),
                (wait, late, "", None),
                ("", late, "", None),
            ] {
                let mut seen = running(spec, &[("a", started)]);
                turn(&mut seen);
                let pass = pass(&seen);
                assert_eq!(shown(&pass), (orders.into(), word.into()), "{spec}");
                assert_eq!(pass.wake, wake.map(|at| at.parse().unwrap()), "{spec}");
                if let Some(Order::SetRunState { annotations, .. }) = pass.orders.first() {
                    assert!(!annotations.contains_key(ROLLED_BACK_TO));
                    assert!(pass.status.message.unwrap().contains("failure policy stops run r"));
                }
            }
        }
    }
}
