//! From content to an index: a snapshot that holds it is proved, or a run is asked to capture it.

use jiff::SignedDuration;
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
    release::{Bound, Content, Difference, bind, ledger::annotation},
    render::Wanted,
    sync::{release, status::Finding},
};

/// After a captured snapshot turned out to hold other content, so long until the next attempt.
const CAPTURE_AGAIN: SignedDuration = SignedDuration::from_mins(5);

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
        let patience = if refused { CAPTURE_AGAIN } else { self.seen.patience };
        let due = since + patience;
        // A run that is already capturing for this content is left to finish.
        let capturing = self.current.as_ref().is_some_and(|run| is_capture(run, wanted));
        if self.now < due && !capturing {
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
}

/// Returns whether a run is there to capture this content.
fn is_capture(run: &Run, wanted: &Wanted) -> bool {
    !release::is_over(run)
        && run.spec.resource_snapshot_index.as_deref().is_none_or(str::is_empty)
        && annotation(run, meta::CONTENT_DIGEST) == Some(wanted.digest.as_str())
}
