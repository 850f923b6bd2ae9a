//! A suspended Rollout stops its run. Afterwards the run is resumed, if it still is about what is wanted.

use super::{
    desk::{Desk, Flow, halt},
    pin::Goal,
};
use crate::{
    api::{
        meta,
        rollout::reason,
        run::{STATE_INITIALIZE, STATE_STOP},
    },
    release::ledger::{STOPPED_BY, STOPPED_SUPERSEDED, annotation},
    render::{WhenSuperseded, object::STOPPED_SUSPEND},
    sync::{Order, release, status::Finding},
};

impl Desk<'_> {
    /// Stops the run of a suspended Rollout.
    pub(super) fn suspend(&mut self) -> Flow<()> {
        if self.spec().suspend != Some(true) {
            return Ok(());
        }
        let running = self.current.clone().filter(|run| !release::is_over(run));
        let newest = running.as_ref().and_then(|run| run.metadata.name.clone());
        for name in self.going() {
            // An older one that somebody resumed is not to go on afterwards.
            let by =
                if Some(&name) == newest.as_ref() { STOPPED_SUSPEND } else { STOPPED_SUPERSEDED };
            self.orders.push(Order::stop(name, by));
        }
        let what = match &running {
            None => "no run is made".to_owned(),
            Some(run) if release::state(run) == STATE_INITIALIZE => {
                format!("run {} is not started", run.metadata.name.clone().unwrap_or_default())
            }
            Some(run) => {
                format!("run {} is stopped", run.metadata.name.clone().unwrap_or_default())
            }
        };
        halt(Finding::waits(
            reason::SUSPENDED,
            format!(
                "the Rollout is suspended: {what}, and new commits are not applied; set spec.suspend to false in {} to go on",
                self.status.source.as_ref().map(|s| s.path.clone()).unwrap_or_default()
            ),
        ))
    }

    /// Resumes the run that suspension stopped, unless something else is to be rolled out by now.
    pub(super) fn resume(&mut self, goal: &Goal<'_>) -> Flow<()> {
        let Some(run) = self.current.clone().filter(|run| {
            !release::is_over(run)
                && release::state(run) == STATE_STOP
                && annotation(run, STOPPED_BY) == Some(STOPPED_SUSPEND)
        }) else {
            return Ok(());
        };
        let wanted = goal.wanted.as_ref();
        let same = annotation(&run, meta::CONTENT_DIGEST) == Some(wanted.digest.as_str());
        if !same && wanted.intent.when_superseded == WhenSuperseded::Stop {
            return Ok(());
        }
        let name = run.metadata.name.clone().unwrap_or_default();
        self.end_others(&name);
        self.orders.push(Order::go(name));
        halt(Finding::waits(reason::ROLLING_OUT, "the run is resumed"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::run::STATE_RUN;
    use crate::sync::decide::fixture::{OTHER, digest, run, snapshot, told, web};

    #[test]
    fn a_suspended_rollout_stops_its_run() {
        for (state, orders) in
            [(STATE_RUN, "r Stop suspend"), (STATE_STOP, ""), (STATE_INITIALIZE, "")]
        {
            let seen = run(web("  suspend: true\n"), OTHER, state, json!({}), "0", json!({}));
            assert_eq!(told(&seen), (orders.into(), reason::SUSPENDED.into()), "{state}");
        }
    }

    #[test]
    fn afterwards_it_is_resumed_unless_something_else_is_to_be_rolled_out() {
        let queue = "  whenSuperseded: Queue\n";
        for (spec, same, by, want) in [
            ("", true, STOPPED_SUSPEND, ("r Run -", reason::ROLLING_OUT)),
            ("", false, STOPPED_SUSPEND, ("r Stop superseded", reason::SUPERSEDING)),
            (queue, false, STOPPED_SUSPEND, ("r Run -", reason::ROLLING_OUT)),
            ("", true, "somebody", ("", reason::ROLLING_OUT)),
        ] {
            let seen = snapshot(web(spec), true);
            let content = if same { digest(&seen) } else { OTHER.to_owned() };
            let seen = run(seen, &content, STATE_STOP, json!({ STOPPED_BY: by }), "0", json!({}));
            assert_eq!(told(&seen), (want.0.into(), want.1.into()), "{spec}{same} {by}");
        }
    }
}
