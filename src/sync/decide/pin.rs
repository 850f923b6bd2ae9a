//! Which commit's content is to be everywhere: the tip's, or the one that the failure policy went back to.

use std::borrow::Cow;

use super::desk::{Desk, Flow, halt};
use crate::{
    api::{
        condition::{self, Claim, Truth},
        rollout::{PINNED, Pinned, reason},
    },
    model::{CommitId, commit::short},
    render::{Start, Wanted, WhenSuperseded},
    sync::{
        Tip,
        status::{Finding, State},
    },
};

/// What is to be everywhere.
pub(super) struct Goal<'a> {
    /// Whose content it is.
    pub(super) commit: CommitId,
    /// That content; strategy, placement and policy are always the tip's.
    pub(super) wanted: Cow<'a, Wanted>,
    /// Whether the failure policy went back to it.
    pub(super) is_back: bool,
}

impl Desk<'_> {
    /// Returns what to work towards.
    pub(super) fn goal<'t>(&mut self, tip: &Tip, wanted: &'t Wanted) -> Flow<Goal<'t>> {
        self.pin(tip, wanted);
        let Some(pinned) = &self.status.pinned else {
            return Ok(Goal {
                commit: tip.content_commit.clone(),
                wanted: Cow::Borrowed(wanted),
                is_back: false,
            });
        };
        match &tip.earlier {
            Some((commit, Ok(earlier))) if commit.as_str() == pinned.to => Ok(Goal {
                commit: commit.clone(),
                wanted: Cow::Owned(back(wanted, earlier)),
                is_back: true,
            }),
            Some((commit, Err(why))) if commit.as_str() == pinned.to => {
                let message = format!(
                    "the failure policy stopped the run of {} ({}), and cannot go back to {}: {why}; push a commit that mends or reverts it",
                    short(&pinned.commit),
                    pinned.message,
                    commit.short()
                );
                halt(Finding::stalled(reason::ROLLBACK_FAILED, message))
            }
            _ => {
                let message = format!(
                    "the failure policy stopped the run of {} ({}); {} is read again",
                    short(&pinned.commit),
                    pinned.message,
                    short(&pinned.to)
                );
                halt(Finding::waits(reason::ROLLING_BACK, message).until(self.now))
            }
        }
    }

    /// Keeps the Rollout off content that was rolled back, until Git has other content.
    fn pin(&mut self, tip: &Tip, wanted: &Wanted) {
        let same = |release: &&crate::api::rollout::Release| {
            release.commit == tip.content_commit.as_str()
                && release.content_digest == wanted.digest.as_str()
                && release.rolled_back_to.is_some()
        };
        if let Some(release) = self.status.history.iter().rev().find(same) {
            self.status.pinned = Some(Pinned {
                commit: release.commit.clone(),
                content_digest: release.content_digest.clone(),
                to: release.rolled_back_to.clone().unwrap_or_default(),
                message: release.failure.clone().unwrap_or_default(),
            });
        } else if let Some(pinned) = &self.status.pinned
            && (tip.returned || pinned.content_digest != wanted.digest.as_str())
        {
            self.status.pinned = None;
        }
    }

    /// Says of whatever is done on the way back why it is done, and what a person can do.
    pub(super) fn tell_pin(&self, goal: &Goal<'_>, finding: Finding) -> Finding {
        match self.status.pinned.as_ref().filter(|_| goal.is_back) {
            Some(pinned) => told(pinned, finding),
            None => finding,
        }
    }

    /// Shows the pin as a condition; without a pin there is none.
    pub(super) fn show_pin(&mut self, generation: i64) {
        match &self.status.pinned {
            None => self.status.conditions.retain(|condition| condition.type_ != PINNED),
            Some(pinned) => {
                let message = format!(
                    "{} was rolled back to {}: {}; it is not tried again until Git has other content",
                    short(&pinned.commit),
                    short(&pinned.to),
                    pinned.message
                );
                let claim = Claim::new(PINNED, Truth::True, reason::ROLLED_BACK, message);
                condition::set(&mut self.status.conditions, claim, generation, self.now);
            }
        }
    }
}

fn told(pinned: &Pinned, finding: Finding) -> Finding {
    let (bad, why) = (short(&pinned.commit), &pinned.message);
    if finding.state == State::Ready {
        return Finding::stalled(
            reason::ROLLED_BACK,
            format!(
                "{bad} was rolled back because {why}; {}; push a commit that mends or reverts {bad}: until then it is not tried again",
                finding.message
            ),
        );
    }
    Finding {
        message: format!("{bad} is rolled back because {why}; {}", finding.message),
        ..finding
    }
}

/// Returns the earlier content, to be rolled out as the tip says; at once, for that is what was asked for.
fn back(wanted: &Wanted, earlier: &Wanted) -> Wanted {
    let mut back = wanted.clone();
    back.content = earlier.content.clone();
    back.content_path = earlier.content_path.clone();
    back.digest = earlier.digest.clone();
    back.intent.start = Start::Automatic;
    back.intent.when_superseded = WhenSuperseded::Stop;
    back
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        api::meta,
        release::ledger::{FAILURE, ROLLED_BACK_TO, STOPPED_BY},
        sync::{
            Git, Order, Seen,
            decide::fixture::{
                COMMIT, also, apply, digest, fleet, in_flight, pass, shown, snapshot, succeeded,
                wanting, web,
            },
        },
    };

    const GOOD: &str = "00112233445566778899aabbccddeeff00112233";

    const SPEC: &str = "  start: Manual\n  rollback: {strategyName: fast}\n  failure: {progressDeadline: 10m, action: Rollback}\n";

    /// The run of the tip was stopped by the policy, to go back to `GOOD`; what that had is known or not.
    fn rolled_back(earlier: Option<Result<Wanted, String>>) -> Seen {
        let mut seen = snapshot(web(SPEC), true);
        let (own, old) = (digest(&seen), wanting("", "old").digest.to_string());
        seen = also(seen, 0, ("good", GOOD, &old), json!({}), succeeded());
        let noted =
            json!({FAILURE: "a is stuck", ROLLED_BACK_TO: GOOD, STOPPED_BY: "failure-policy"});
        let going = in_flight(&[("a", "2025-12-31T23:00:00Z")]);
        seen = also(seen, 1, ("bad", COMMIT, &own), noted, going);
        let Git::Tip(tip) = &mut seen.git else { panic!("no tip") };
        tip.earlier = earlier.map(|wanted| (GOOD.parse().unwrap(), wanted));
        seen
    }

    fn remember(mut seen: Seen) -> Seen {
        let status = pass(&seen).status;
        let mut rollout = (*seen.rollout.take().unwrap()).clone();
        rollout.status = Some(status);
        seen.rollout = Some(std::sync::Arc::new(rollout));
        seen
    }

    #[test]
    fn the_earlier_content_is_applied_bound_and_run_whoever_starts_runs() {
        let unread = pass(&rolled_back(None));
        assert_eq!(shown(&unread), (String::new(), reason::ROLLING_BACK.into()));
        assert_eq!(unread.wake, Some("2026-01-01T00:00:00Z".parse().unwrap()));
        assert_eq!(unread.status.pinned.as_ref().unwrap().to, GOOD);

        let lost = pass(&rolled_back(Some(Err("it is gone".into()))));
        assert_eq!(shown(&lost), (String::new(), reason::ROLLBACK_FAILED.into()));

        let seen = rolled_back(Some(Ok(wanting("", "old"))));
        assert_eq!(shown(&pass(&seen)), ("applied".into(), reason::APPLYING.into()));
        // Bound to the very content, and to no other.
        let seen = apply(seen);
        assert_eq!(shown(&pass(&seen)), (String::new(), reason::WAITING_FOR_SNAPSHOT.into()));
        let seen = snapshot(seen, true);
        let seen = fleet(seen, &[("a", "Bound", "1")]);
        let made = pass(&seen);
        assert_eq!(shown(&made), ("web-00112233-2 made in Run".into(), reason::ROLLING_OUT.into()));
        let [Order::CreateRun(run)] = made.orders.as_slice() else { panic!("{:?}", made.orders) };
        assert_eq!(run["spec"]["stagedRolloutStrategyName"], "fast");
        assert_eq!(run["metadata"]["annotations"][meta::COMMIT], GOOD);
        let message = made.status.message.unwrap();
        assert!(message.starts_with("3f2a91c0 is rolled back because a is stuck; "), "{message}");
    }

    #[test]
    fn when_it_is_everywhere_the_rollout_still_is_not_as_git_says() {
        let seen = apply(rolled_back(Some(Ok(wanting("", "old")))));
        let seen = snapshot(seen, true);
        let old = wanting("", "old").digest.to_string();
        let mut seen = also(seen, 2, ("back", GOOD, &old), json!({}), succeeded());
        let mut back = (*seen.runs[2]).clone();
        back.spec.resource_snapshot_index = Some("0".into());
        seen.runs[2] = std::sync::Arc::new(back);
        let done = pass(&seen);
        assert_eq!(shown(&done), (String::new(), reason::ROLLED_BACK.into()));
        let pinned = condition::find(&done.status.conditions, PINNED).unwrap();
        assert_eq!(
            pinned.message,
            "3f2a91c0 was rolled back to 00112233: a is stuck; it is not tried again until Git has other content"
        );
        assert_eq!(done.status.commit.as_deref(), Some(GOOD));
    }

    #[test]
    fn a_way_back_is_not_judged_and_there_is_no_way_back_from_it() {
        let seen = snapshot(apply(rolled_back(Some(Ok(wanting("", "old"))))), true);
        let old = wanting("", "old").digest.to_string();
        let late = in_flight(&[("a", "2025-12-31T22:00:00Z")]);
        let mut seen = also(seen, 2, ("back", GOOD, &old), json!({}), late);
        let mut back = (*seen.runs[2]).clone();
        back.spec.resource_snapshot_index = Some("0".into());
        back.spec.state = Some("Run".into());
        seen.runs[2] = std::sync::Arc::new(back);
        let pass = pass(&seen);
        // The first one fails in the end; it is not ours to stop again.
        assert_eq!(shown(&pass), (String::new(), reason::ROLLING_OUT.into()));
        assert_eq!(pass.wake, None);
    }

    /// What was taken back and committed again is another commit, whether or not anybody looked in between.
    #[test]
    fn content_that_left_git_and_came_back_is_tried_again() {
        let mut seen = remember(rolled_back(None));
        let Git::Tip(tip) = &mut seen.git else { panic!("no tip") };
        tip.content_commit = "ffeeddccbbaa99887766554433221100ffeeddcc".parse().unwrap();
        tip.returned = true;
        let seen = remember(seen);
        assert_eq!(seen.rollout.as_ref().unwrap().status.as_ref().unwrap().pinned, None);
        let Git::Tip(tip) = &seen.git else { panic!("no tip") };
        let mut later = seen.clone();
        later.git = Git::Tip(Box::new(Tip { returned: false, ..Tip::clone(tip) }));
        assert_eq!(pass(&later).status.pinned, None, "and stays so");
    }

    #[test]
    fn other_content_takes_the_pin_away_and_the_same_content_under_another_commit_does_not() {
        let seen = remember(rolled_back(None));
        for (label, commit, pinned) in
            [("new", COMMIT, true), ("new", GOOD, true), ("newer", GOOD, false)]
        {
            let mut seen = seen.clone();
            let Git::Tip(tip) = &mut seen.git else { panic!("no tip") };
            tip.content_commit = commit.parse().unwrap();
            tip.wanted = Ok(wanting(SPEC, label));
            let status = pass(&seen).status;
            assert_eq!(status.pinned.is_some(), pinned, "{label} {commit}");
            let shown = condition::find(&status.conditions, PINNED).is_some();
            assert_eq!(shown, pinned, "{label} {commit}");
        }
    }
}
