//! A suspended Rollout stops its run, and resumes it afterwards.

use super::desk::{Desk, Flow, halt};
use crate::{
    api::{
        Run,
        rollout::reason,
        run::{STATE_INITIALIZE, STATE_RUN},
    },
    release::ledger::{STOPPED_BY, annotation},
    render::object::STOPPED_SUSPEND,
    sync::{Order, release, status::Finding},
};

impl Desk<'_> {
    /// Stops the run of a suspended Rollout, and resumes it afterwards.
    pub(super) fn suspend(&mut self) -> Flow<()> {
        let running = self.current.clone().filter(|run| !release::is_over(run));
        let ours = |run: &Run| annotation(run, STOPPED_BY) == Some(STOPPED_SUSPEND);
        if self.spec().suspend != Some(true) {
            if let Some(run) = running.filter(|run| ours(run)) {
                let name = run.metadata.name.clone().unwrap_or_default();
                self.orders.push(Order::go(name));
                return halt(Finding::waits(reason::ROLLING_OUT, "the run is resumed"));
            }
            return Ok(());
        }
        if let Some(run) = &running
            && release::state(run) == STATE_RUN
        {
            let name = run.metadata.name.clone().unwrap_or_default();
            self.orders.push(Order::stop(name, STOPPED_SUSPEND));
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
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        api::run::STATE_STOP,
        sync::decide::fixture::{OTHER, run, told, web},
    };

    #[test]
    fn a_suspended_rollout_stops_its_run_and_resumes_it_afterwards() {
        let seen = run(web("  suspend: true\n"), OTHER, STATE_RUN, json!({}), "0", json!({}));
        assert_eq!(told(&seen), ("r Stop suspend".into(), reason::SUSPENDED.into()));
        let by = |by: &str| json!({ STOPPED_BY: by });
        let seen = run(web(""), OTHER, STATE_STOP, by(STOPPED_SUSPEND), "0", json!({}));
        assert_eq!(told(&seen), ("r Run -".into(), reason::ROLLING_OUT.into()));
    }
}
