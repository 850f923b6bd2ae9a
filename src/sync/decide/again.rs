//! Another run for content that has had one: Fleet aborted it, its clusters are others by now, or a person wants it.

use super::{desk::Desk, judge::shown};
use crate::{
    api::{
        Run,
        binding::{STATE_SCHEDULED, STATE_UNSCHEDULED},
        meta,
        rollout::{OUTCOME_FAILED, OUTCOME_SUCCEEDED, Release},
    },
    release::ledger::annotation,
    rollout::{
        Phase, Progress,
        fault::{ABORT, UNEXPECTED},
    },
    sync::release,
};

/// So many runs for one commit may fail before a person has to look.
const FAILED_MAX: usize = 5;

impl Desk<'_> {
    /// Returns why the newest release needs one more run, if it does.
    pub(super) fn again(&self, newest: &Release) -> Option<String> {
        let name = &newest.run;
        match (newest.outcome.as_str(), &self.current) {
            (OUTCOME_FAILED, None) => Some(format!("run {name} failed, and was deleted since")),
            (OUTCOME_FAILED, Some(run)) => {
                let progress = release::progress_of(run, self.now);
                let why = aborted(&progress)?;
                let commit = annotation(run, meta::COMMIT);
                let failed = release::ours(self.seen).filter(|run| {
                    annotation(run, meta::COMMIT) == commit
                        && release::progress_of(run, self.now).phase == Phase::Failed
                });
                (failed.count() < FAILED_MAX)
                    .then(|| format!("run {name} was aborted ({why}), and the rest needs another"))
            }
            (OUTCOME_SUCCEEDED, Some(run)) => self.others(run),
            _ => None,
        }
    }

    /// Returns which clusters were picked, or given up, since a run for all clusters was over.
    fn others(&self, run: &Run) -> Option<String> {
        let status = run.status.as_ref()?;
        let had: Vec<&str> = status
            .stages_status
            .iter()
            .flatten()
            .flat_map(|stage| &stage.clusters)
            .map(|cluster| cluster.cluster_name.as_str())
            .collect();
        // A binding that the run itself has moved may be seen later than the run.
        let changed: Vec<String> = self
            .seen
            .bindings
            .iter()
            .filter_map(|binding| {
                let cluster = binding.spec.target_cluster.as_str();
                match (binding.spec.state.as_str(), had.contains(&cluster)) {
                    (STATE_SCHEDULED, false) => Some(format!("{cluster} was picked")),
                    (STATE_UNSCHEDULED, true) => Some(format!("{cluster} is no longer picked")),
                    _ => None,
                }
            })
            .collect();
        (!changed.is_empty()).then(|| format!("since the last run {}", shown(&changed)))
    }
}

/// Returns why a run was aborted although nothing went wrong in it: its members, their labels, the policy or the apply
/// strategy changed (fleet-semantics §5.6). Then only the run says that it failed, and none of its stages.
fn aborted(progress: &Progress) -> Option<&str> {
    let why = progress.failure.as_deref().filter(|_| progress.phase == Phase::Failed)?;
    let begun = !progress.stages.is_empty();
    let well = progress.stages.iter().all(|stage| {
        stage.phase != Phase::Failed
            && stage.clusters.iter().all(|cluster| cluster.phase != Phase::Failed)
    });
    let why = why.strip_prefix(ABORT)?;
    (begun && well && !why.contains(UNEXPECTED)).then(|| why.trim_start_matches([':', ' ']))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        api::{
            rollout::reason,
            run::{INITIALIZED, STARTED, SUCCEEDED},
        },
        sync::decide::fixture::{
            COMMIT, also, condition_of, digest, pass, shown, snapshot, succeeded, web,
        },
    };

    fn failed(message: &str, stage: Value, cluster: Value) -> Value {
        json!({
            "conditions": [condition_of(INITIALIZED, "True", "R", ""), condition_of(SUCCEEDED, "False", "R", message)],
            "stagesStatus": [{"stageName": "all", "conditions": stage,
                "clusters": [{"clusterName": "a", "conditions": cluster}]}],
        })
    }

    #[test]
    fn only_a_run_in_which_nothing_went_wrong_is_followed_by_another() {
        let changed = "cannot continue the updateRun: the number of clusters in index `0` stage has changed, new: 2, existing: 1";
        let broken = format!("{ABORT}: {UNEXPECTED}: the updateRun has nil stagesStatus");
        let no = |kind: &str| json!([condition_of(kind, "False", "R", "m")]);
        let started = json!([condition_of(STARTED, "True", "R", "")]);
        // Preflight says no in this fixture, which has no members: it was asked.
        let (again, over) = (reason::PREFLIGHT_FAILED, reason::RUN_FAILED);
        for (status, want) in [
            (failed(changed, json!([]), started.clone()), again),
            (failed(changed, no(SUCCEEDED), started.clone()), over),
            (failed(changed, json!([]), no(SUCCEEDED)), over),
            (failed(&broken, json!([]), json!([])), over),
            (failed("the hub is on fire", json!([]), json!([])), over),
            (json!({"conditions": [condition_of(INITIALIZED, "False", "R", changed)]}), over),
        ] {
            let seen = snapshot(web(""), true);
            let own = digest(&seen);
            let seen = also(seen, 0, ("r", COMMIT, &own), json!({}), status.clone());
            let pass = pass(&seen);
            assert_eq!(shown(&pass).1, want, "{status}");
            let message = pass.status.message.unwrap();
            let told = "run r was aborted (the number of clusters in index `0` stage has changed, new: 2, existing: 1), and the rest needs another; ";
            assert_eq!(message.starts_with(told), want == again, "{message}");
        }
    }

    #[test]
    fn failing_again_and_again_ends() {
        let changed =
            format!("{ABORT}: the policy snapshot index used in the updateRun is outdated");
        let mut seen = snapshot(web(""), true);
        let own = digest(&seen);
        for (number, want) in (0..).zip([
            reason::PREFLIGHT_FAILED,
            reason::PREFLIGHT_FAILED,
            reason::PREFLIGHT_FAILED,
            reason::PREFLIGHT_FAILED,
            reason::RUN_FAILED,
        ]) {
            let status = failed(&changed, json!([]), json!([]));
            let name = format!("r{number}");
            seen = also(seen, number, (&name, COMMIT, &own), json!({}), status);
            let mut run = Run::clone(seen.runs.last().unwrap());
            run.spec.resource_snapshot_index = Some("0".into());
            *seen.runs.last_mut().unwrap() = std::sync::Arc::new(run);
            assert_eq!(shown(&pass(&seen)).1, want, "{number}");
        }
    }

    #[test]
    fn other_clusters_than_the_run_had_need_one_and_late_news_of_its_own_do_not() {
        for (cluster, state, want) in [
            ("a", "Bound", reason::SUCCEEDED),
            ("a", "Scheduled", reason::SUCCEEDED),
            ("b", "Scheduled", reason::PREFLIGHT_FAILED),
            ("a", "Unscheduled", reason::PREFLIGHT_FAILED),
            ("b", "Unscheduled", reason::SUCCEEDED),
        ] {
            let mut seen = snapshot(web(""), true);
            let own = digest(&seen);
            let mut status = succeeded();
            status["stagesStatus"] =
                json!([{"stageName": "all", "clusters": [{"clusterName": "a"}]}]);
            seen = also(seen, 0, ("r", COMMIT, &own), json!({}), status);
            let binding = json!({"apiVersion": "placement.kubernetes-fleet.io/v1beta1", "kind": "ClusterResourceBinding",
                "metadata": {"name": "b"}, "spec": {"state": state, "resourceSnapshotName": "web-9-snapshot",
                    "schedulingPolicySnapshotName": "web-0", "targetCluster": cluster,
                    "clusterDecision": {"clusterName": cluster, "selected": true, "reason": "r"}}});
            seen.bindings = vec![std::sync::Arc::new(serde_json::from_value(binding).unwrap())];
            assert_eq!(shown(&pass(&seen)).1, want, "{cluster} {state}");
        }
    }
}
