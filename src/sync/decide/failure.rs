//! The failure policy: a run in which too much is stuck, or nothing moves.
//!
//! It acts once per commit. That it did is written on the run with the same patch that stops it, and from there into the
//! ledger: a restart finds it, and a run that somebody resumed is left to them.

use jiff::{SignedDuration, Timestamp};

use super::{
    desk::{Desk, Flow, Halt, halt},
    pin::Goal,
};
use crate::{
    api::{
        meta,
        rollout::{
            FAILURE_ROLLBACK, FAILURE_WAIT, OUTCOME_SUCCEEDED, Release, RolloutSpec, reason,
        },
        run::STATE_RUN,
    },
    model::GoDuration,
    release::ledger::{FAILURE, ROLLED_BACK_TO, annotation},
    render::{Intent, OnFailure, object::STOPPED_FAILURE},
    rollout::{Phase, Progress, STUCK_AFTER, StageProgress},
    sync::{Order, release, status::Finding},
};

/// What the policy says of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    /// It failed, in these words.
    Failed(String),
    /// It did not, and will not before this moment if nothing moves.
    Fine(Option<Timestamp>),
}

/// More clusters are not named.
const NAMES_MAX: usize = 5;
/// A cluster is stuck as soon as it is over the limit, not at it.
const TICK: SignedDuration = SignedDuration::from_millis(1);

/// What counts as failed, and where to go then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Policy {
    deadline: Option<GoDuration>,
    max_stuck: Option<u32>,
    rolls_back: bool,
}

impl Policy {
    fn of(intent: &Intent) -> Self {
        Self {
            deadline: intent.progress_deadline,
            max_stuck: intent.max_stuck_clusters,
            rolls_back: intent.on_failure == OnFailure::Rollback,
        }
    }

    /// Reads the policy of the last good spec, as the hub has it.
    fn held(spec: &RolloutSpec) -> Self {
        let policy = spec.failure.clone().unwrap_or_default();
        let action = policy.action.as_deref();
        if action == Some(FAILURE_WAIT) {
            return Self::default();
        }
        let deadline = policy.progress_deadline.and_then(|text| text.parse::<GoDuration>().ok());
        Self {
            deadline: deadline.filter(|deadline| deadline.is_positive()),
            max_stuck: policy.max_stuck_clusters,
            rolls_back: action == Some(FAILURE_ROLLBACK),
        }
    }
}

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
                Finding { message: format!("{}; {}", finding.message, stopped.message), ..finding }
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

/// Judges a run that is in state `Run`. At a gate, time does not count: somebody else is to move.
fn judge(policy: Policy, progress: &Progress, now: Timestamp) -> Verdict {
    if !matches!(progress.phase, Phase::Updating | Phase::Stuck) {
        return Verdict::Fine(None);
    }
    let mut wakes = Vec::new();
    if let Some(max) = policy.max_stuck {
        let stuck = names(progress, |phase| phase == Phase::Stuck);
        if stuck.len() > max as usize {
            return Verdict::Failed(format!(
                "{} stuck, where {max} may be: {}",
                count(stuck.len()),
                shown(&stuck)
            ));
        }
        let next = progress.in_flight().filter(|cluster| cluster.phase != Phase::Stuck);
        let next = next.filter_map(|cluster| cluster.since).min();
        wakes.extend(next.and_then(|since| since.checked_add(STUCK_AFTER + TICK).ok()));
    }
    if let Some((deadline, moved)) = policy.deadline.zip(moved(progress)) {
        let due = moved.checked_add(SignedDuration::from(deadline)).unwrap_or(Timestamp::MAX);
        if now >= due {
            return Verdict::Failed(late(progress, deadline, moved));
        }
        wakes.push(due);
    }
    Verdict::Fine(wakes.into_iter().min())
}

/// Returns when something moved last. What a gate held up does not count against what comes after it.
fn moved(progress: &Progress) -> Option<Timestamp> {
    let stages = progress.stages.iter();
    let clusters = stages.flat_map(|stage| {
        stage.clusters.iter().filter_map(|cluster| cluster.since).chain(stage.started)
    });
    // A stuck run tells since when it is called so, which is no movement.
    clusters.chain(progress.since.filter(|_| progress.phase == Phase::Updating)).max()
}

fn late(progress: &Progress, deadline: GoDuration, moved: Timestamp) -> String {
    let moving = names(progress, |phase| matches!(phase, Phase::Updating | Phase::Stuck));
    let waits = match moving.is_empty() {
        true => String::new(),
        false => format!(", and {} not done: {}", count(moving.len()), shown(&moving)),
    };
    format!("nothing moved for {deadline}, since {moved}{waits}")
}

fn names(progress: &Progress, phase: impl Fn(Phase) -> bool) -> Vec<String> {
    let of = |stage: &StageProgress| {
        let clusters = stage.clusters.iter().filter(|cluster| phase(cluster.phase));
        clusters.map(|cluster| format!("{} (stage {})", cluster.name, stage.name)).collect()
    };
    progress.stages.iter().flat_map(|stage| -> Vec<String> { of(stage) }).collect()
}

pub(super) fn shown(names: &[String]) -> String {
    let more = names.len().saturating_sub(NAMES_MAX);
    let text = names[..names.len() - more].join(", ");
    if more == 0 { text } else { format!("{text} and {more} more") }
}

fn count(clusters: usize) -> String {
    match clusters {
        1 => "1 cluster is".to_owned(),
        more => format!("{more} clusters are"),
    }
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
                COMMIT, OTHER, also, digest, in_flight, pass, run, shown, snapshot, succeeded,
                wanting, web,
            },
        },
    };

    const GOOD: &str = "00112233445566778899aabbccddeeff00112233";

    /// A run of the tip's content with clusters that started at these times; the tables look at midnight.
    fn running(spec: &str, started: &[(&str, &str)]) -> Seen {
        let seen = snapshot(web(spec), true);
        let own = digest(&seen);
        run(seen, &own, STATE_RUN, json!({}), "0", in_flight(started))
    }

    fn policy_of(spec: &str) -> Policy {
        Policy::of(&wanting(spec, "new").intent)
    }

    fn progress_of(seen: &Seen) -> Progress {
        release::progress_of(&seen.runs[0], "2026-01-01T00:00:00Z".parse().unwrap())
    }

    #[test]
    fn too_much_or_too_long_is_told_with_names_and_otherwise_when_it_would_be() {
        let fine = |wake: &str| Verdict::Fine(Some(wake.parse().unwrap()));
        let failed = |why: &str| Verdict::Failed(why.into());
        let deadline = "  failure: {progressDeadline: 10m}\n";
        let stuck = "  failure: {maxStuckClusters: 1}\n";
        let either = "  failure: {maxStuckClusters: 0, progressDeadline: 1h}\n";
        let (old, older) = ("2025-12-31T23:49:59Z", "2025-12-31T23:40:00Z");
        let recent = "2025-12-31T23:59:00Z";
        for (spec, started, want) in [
            ("", vec![("a", older)], Verdict::Fine(None)),
            (
                "  failure: {progressDeadline: 1s, maxStuckClusters: 0, action: Wait}\n",
                vec![("a", older)],
                Verdict::Fine(None),
            ),
            (deadline, vec![("a", recent)], fine("2026-01-01T00:09:00Z")),
            (deadline, vec![("a", older), ("b", recent)], fine("2026-01-01T00:09:00Z")),
            (
                deadline,
                vec![("a", "2025-12-31T23:50:00Z")],
                failed(
                    "nothing moved for 10m0s, since 2025-12-31T23:50:00Z, and 1 cluster is not done: a (stage all)",
                ),
            ),
            (
                deadline,
                vec![("a", older), ("b", old)],
                failed(
                    "nothing moved for 10m0s, since 2025-12-31T23:49:59Z, and 2 clusters are not done: a (stage all), b (stage all)",
                ),
            ),
            (stuck, vec![("a", old), ("b", recent)], fine("2026-01-01T00:04:00.001Z")),
            (stuck, vec![("a", old)], Verdict::Fine(None)),
            (
                stuck,
                vec![("a", old), ("b", older)],
                failed("2 clusters are stuck, where 1 may be: a (stage all), b (stage all)"),
            ),
            (either, vec![("a", "2025-12-31T23:55:00Z")], fine("2026-01-01T00:00:00.001Z")),
            (either, vec![("a", old)], failed("1 cluster is stuck, where 0 may be: a (stage all)")),
        ] {
            let seen = running(spec, &started);
            let verdict = judge(
                policy_of(spec),
                &progress_of(&seen),
                "2026-01-01T00:00:00Z".parse().unwrap(),
            );
            assert_eq!(verdict, want, "{spec}{started:?}");
        }
    }

    #[test]
    fn only_some_names_are_told() {
        let names: Vec<String> = (0..8).map(|number| format!("c{number}")).collect();
        assert_eq!(super::shown(&names), "c0, c1, c2, c3, c4 and 3 more");
        assert_eq!(super::shown(&names[..5]), "c0, c1, c2, c3, c4");
    }

    #[test]
    fn a_gate_counts_neither_while_it_is_shut_nor_when_it_opens() {
        let intent = policy_of("  failure: {progressDeadline: 10m}\n");
        let mut progress = progress_of(&running("", &[("a", "2025-12-31T20:00:00Z")]));
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        progress.phase = Phase::Waiting;
        assert_eq!(judge(intent, &progress, now), Verdict::Fine(None));
        // It opens: the run is updating again since a moment ago, and no cluster has started yet.
        progress.phase = Phase::Updating;
        progress.since = Some("2025-12-31T23:59:00Z".parse().unwrap());
        let due = "2026-01-01T00:09:00Z".parse().unwrap();
        assert_eq!(judge(intent, &progress, now), Verdict::Fine(Some(due)));
        // To be called stuck is no movement.
        progress.phase = Phase::Stuck;
        assert!(matches!(judge(intent, &progress, now), Verdict::Failed(_)));
    }

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
