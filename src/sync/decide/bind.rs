//! From content to an index: a snapshot that holds it is proved, or a run is asked to capture it.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{
    apply::objects,
    desk::{Desk, Flow, halt},
};
use crate::{
    api::{
        Run, condition, meta,
        rollout::{BOUND, reason},
    },
    model::SnapshotIndex,
    placement::snapshot::Group,
    release::{Bound, Content, Difference, Settling, bind, ledger::annotation, settling},
    render::Wanted,
    sync::{release, status::Finding},
};

/// After a captured snapshot turned out to hold other content, so long until the next attempt.
const CAPTURE_AGAIN: SignedDuration = SignedDuration::from_mins(5);
/// As long at least where Fleet had not taken the change up yet.
pub(super) const CAPTURE_SOON: SignedDuration = SignedDuration::from_secs(15);

impl Desk<'_> {
    /// Finds the index, or says what is missing. Nothing: the content has to be captured by a run.
    pub(super) fn bind(
        &mut self,
        wanted: &Wanted,
        content: &Content,
    ) -> Flow<Option<(SnapshotIndex, String)>> {
        let groups = Group::all(&self.seen.snapshots);
        let newest = match bind(&groups, content) {
            Bound::Proved { index, hash } => {
                self.status.unbound_since = None;
                self.status.refused_index = None;
                let text = format!("index {index} holds the {}", objects(content.objects.len()));
                self.steps.done(BOUND, reason::PROVED, text);
                return Ok(Some((index, hash)));
            }
            Bound::Absent { newest, .. } => newest,
        };
        let since = match &self.status.unbound_since {
            Some(since) => since.0,
            None => {
                let now = condition::whole_seconds(self.now);
                self.status.unbound_since = Some(Time(now));
                self.now
            }
        };
        let difference = match &newest {
            None => "there is no snapshot yet".to_owned(),
            Some((index, difference)) => format!("index {index}: {difference}"),
        };
        let refused = self.status.refused_index.is_some();
        let settling = if refused { settling(&groups, self.now) } else { None };
        let due = match settling {
            Some(settling) => settling.due.max(since + CAPTURE_SOON),
            None if refused => since + CAPTURE_AGAIN,
            None => since + self.seen.patience,
        };
        // A run that is already capturing for this content is left to finish.
        let capturing = self.current.as_ref().is_some_and(|run| is_capture(run, wanted));
        if self.now < due && !capturing {
            if let Some(settling) = settling {
                return self.settles(settling, &difference, due);
            }
            let foreign = matches!(&newest, Some((_, Difference::Extra(_))));
            if refused || (foreign && self.now >= since + self.seen.patience) {
                let message = format!(
                    "no snapshot holds exactly the objects of the commit; {difference}; change the placement's selectors, or the objects on the hub"
                );
                self.steps.failed(BOUND, reason::CONTENT_DIFFERS, message.clone());
                return halt(Finding::stalled(reason::CONTENT_DIFFERS, message).until(due));
            }
            let message = format!("no snapshot holds the commit's objects yet; {difference}");
            self.steps.under_way(BOUND, reason::WAITING_FOR_SNAPSHOT, message.clone());
            return halt(Finding::waits(reason::WAITING_FOR_SNAPSHOT, message).until(due));
        }
        let message = format!("a run captures the content; {difference}");
        self.steps.under_way(BOUND, reason::WAITING_FOR_SNAPSHOT, message);
        Ok(None)
    }

    /// Waits for Fleet to take up a change that it noted.
    pub(super) fn settles<T>(
        &mut self,
        settling: Settling,
        difference: &str,
        due: Timestamp,
    ) -> Flow<T> {
        let message = format!(
            "Fleet noted the change at {} and takes it up when no other follows; {difference}; a run asks for it again at {}",
            condition::whole_seconds(settling.since),
            condition::whole_seconds(due),
        );
        self.steps.under_way(BOUND, reason::WAITING_FOR_SNAPSHOT, message.clone());
        halt(Finding::waits(reason::WAITING_FOR_SNAPSHOT, message).until(due))
    }
}

/// Returns whether a run is there to capture this content.
fn is_capture(run: &Run, wanted: &Wanted) -> bool {
    !release::is_over(run)
        && run.spec.resource_snapshot_index.as_deref().is_none_or(str::is_empty)
        && annotation(run, meta::CONTENT_DIGEST) == Some(wanted.digest.as_str())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::{
        api::run::{INITIALIZED, STATE_INITIALIZE},
        sync::{
            Seen, decide,
            decide::fixture::{condition_of, digest, fleet, pass, run, shown, snapshot, web},
        },
    };

    fn noted(mut seen: Seen, at: &str) -> Seen {
        let latest = Arc::make_mut(&mut seen.snapshots[0]);
        let annotations = latest.metadata.annotations.get_or_insert_default();
        annotations.insert(meta::CHANGE_DETECTED.to_owned(), at.to_owned());
        latest.metadata.creation_timestamp = Some(Time("2025-12-01T00:00:00Z".parse().unwrap()));
        seen
    }

    /// A run without an index takes the snapshot of before as long as Fleet waits for changes to settle.
    #[test]
    fn a_change_that_fleet_noted_is_asked_for_again_when_it_has_settled() {
        let differing = || fleet(snapshot(web(""), false), &[("a", "Scheduled", "")]);
        let captured = json!({"resourceSnapshotIndexUsed": "0",
            "conditions": [condition_of(INITIALIZED, "True", "R", "")]});
        let capture = |seen: Seen| {
            let own = digest(&seen);
            run(seen, &own, STATE_INITIALIZE, json!({}), "", captured.clone())
        };
        let waits = reason::WAITING_FOR_SNAPSHOT;
        let stalled = reason::CONTENT_DIFFERS;
        for (at, word) in [("2025-12-31T23:59:59Z", waits), ("2025-12-31T12:00:00Z", stalled)] {
            let first = pass(&capture(noted(differing(), at)));
            assert_eq!(shown(&first), ("r deleted".into(), word.into()), "{at}");

            let mut seen = noted(differing(), at);
            let rollout = Arc::make_mut(seen.rollout.as_mut().unwrap());
            rollout.status = Some(first.status);
            for (now, makes) in [
                ("2026-01-01T00:00:01Z", false),
                ("2026-01-01T00:00:14Z", false),
                ("2026-01-01T00:00:15Z", word == waits),
                ("2026-01-01T00:05:00Z", true),
            ] {
                let (orders, told) = shown(&decide(&seen, now.parse().unwrap()));
                assert_eq!(orders.contains("made in Initialize"), makes, "{at} {now}: {orders}");
                assert_eq!(told, if makes { told.as_str() } else { word }, "{at} {now}");
            }
        }
    }
}
