//! A Rollout's spec, read strictly: what is not understood is refused, never guessed.

mod reader;

use serde_json::{Map, Value};

use self::reader::Reader;
use super::Problem;
use crate::{
    api::{
        rollout::{
            FAILURE_ROLLBACK, START_AUTOMATIC, START_MANUAL, SUPERSEDE_QUEUE, SUPERSEDE_STOP,
        },
        strategy::StrategySpec,
    },
    model::GoDuration,
};

/// What a Rollout asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Intent {
    /// Where the content is, relative to the Rollout's file.
    pub manifests: String,
    /// The placement.
    pub placement: String,
    /// The strategy.
    pub strategy: StrategyChoice,
    /// Who starts runs.
    pub start: Start,
    /// What becomes of the older run.
    pub when_superseded: WhenSuperseded,
    /// Strategy for reverts.
    pub rollback_strategy: Option<String>,
    /// Stop a run in which nothing moved for so long.
    pub progress_deadline: Option<GoDuration>,
    /// Stop a run with more stuck clusters.
    pub max_stuck_clusters: Option<u32>,
    /// What becomes of a run that is stopped for one of these.
    pub on_failure: OnFailure,
    /// How many runs the status remembers.
    pub history: usize,
    /// Start nothing, and stop what runs.
    pub suspend: bool,
}

/// Where the strategy comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum StrategyChoice {
    /// An object of this name, in the repository or on the hub.
    Named(String),
    /// The Rollout brings its own stages.
    Inline(StrategySpec),
}

/// Who starts runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// They start by themselves.
    #[default]
    Automatic,
    /// A person sets their state to `Run`.
    Manual,
}

/// What a newer commit does to an older run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenSuperseded {
    /// Stops it.
    #[default]
    Stop,
    /// Waits for its end.
    Queue,
}

/// What becomes of a run that failed by the Rollout's own measure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// It stops, and a person goes on.
    #[default]
    Stop,
    /// It stops, and what was everywhere before is rolled out.
    Rollback,
}

const FIELDS: &[&str] = &[
    "manifests",
    "placementName",
    "strategyName",
    "stages",
    "start",
    "whenSuperseded",
    "rollback",
    "failure",
    "history",
    "suspend",
];
/// Reads a Rollout's spec.
///
/// # Errors
/// Every problem there is, with the field it is in.
pub fn intent(rollout: &Value) -> Result<Intent, Vec<Problem>> {
    let mut reader = Reader { problems: Vec::new() };
    let empty = Map::new();
    let spec = match rollout.get("spec") {
        Some(Value::Object(spec)) => spec,
        _ => {
            reader.problem("/spec", "the Rollout has no spec");
            &empty
        }
    };
    reader.known("/spec", spec, FIELDS);
    let intent = Intent {
        manifests: reader.manifests(spec.get("manifests")),
        placement: reader.name(spec, "placementName", true).unwrap_or_default(),
        strategy: reader.strategy(spec),
        start: match reader.word(spec, "start", &[START_AUTOMATIC, START_MANUAL]) {
            Some(START_MANUAL) => Start::Manual,
            _ => Start::Automatic,
        },
        when_superseded: match reader.word(
            spec,
            "whenSuperseded",
            &[SUPERSEDE_STOP, SUPERSEDE_QUEUE],
        ) {
            Some(SUPERSEDE_QUEUE) => WhenSuperseded::Queue,
            _ => WhenSuperseded::Stop,
        },
        rollback_strategy: reader.rollback(spec),
        progress_deadline: reader.deadline(spec),
        max_stuck_clusters: reader.failure(spec),
        on_failure: match spec.get("failure").and_then(|failure| failure["action"].as_str()) {
            Some(FAILURE_ROLLBACK) => OnFailure::Rollback,
            _ => OnFailure::Stop,
        },
        history: reader.history(spec),
        suspend: match spec.get("suspend") {
            None | Some(Value::Null) => false,
            Some(Value::Bool(suspend)) => *suspend,
            Some(_) => {
                reader.problem("/spec/suspend", "expected true or false");
                false
            }
        },
    };
    if reader.problems.is_empty() { Ok(intent) } else { Err(reader.problems) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(spec: Value) -> Result<Intent, String> {
        intent(&json!({"spec": spec})).map_err(|problems| {
            let texts = problems.iter().map(|p| {
                format!("{}: {} [{}]", p.pointer, p.detail, p.hint.clone().unwrap_or_default())
            });
            texts.collect::<Vec<_>>().join("; ")
        })
    }

    #[test]
    fn defaults_are_as_documented() {
        let intent =
            read(json!({"manifests": "./m", "placementName": "p", "strategyName": "s"})).unwrap();
        assert_eq!(
            intent,
            Intent {
                manifests: "./m".into(),
                placement: "p".into(),
                strategy: StrategyChoice::Named("s".into()),
                start: Start::Automatic,
                when_superseded: WhenSuperseded::Stop,
                rollback_strategy: None,
                progress_deadline: None,
                max_stuck_clusters: None,
                on_failure: OnFailure::Stop,
                history: 10,
                suspend: false,
            }
        );
    }

    #[test]
    fn everything_can_be_said() {
        let intent = read(json!({
            "manifests": {"path": "m"}, "placementName": "p",
            "stages": [{"name": "all", "labelSelector": {}, "maxConcurrency": "50%"}],
            "start": "Manual", "whenSuperseded": "Queue", "rollback": {"strategyName": "fast"},
            "failure": {"progressDeadline": "10m", "maxStuckClusters": 0, "action": "Stop"},
            "history": 3, "suspend": true,
        }))
        .unwrap();
        assert!(matches!(&intent.strategy, StrategyChoice::Inline(s) if s.stages.len() == 1));
        assert_eq!((intent.start, intent.history, intent.suspend), (Start::Manual, 3, true));
        assert_eq!(intent.max_stuck_clusters, Some(0));
        assert!(intent.progress_deadline.is_some());
    }

    #[test]
    fn who_waits_has_no_limits() {
        let intent = read(json!({
            "manifests": "m", "placementName": "p", "strategyName": "s",
            "failure": {"progressDeadline": "10m", "maxStuckClusters": 0, "action": "Wait"},
        }))
        .unwrap();
        assert_eq!((intent.progress_deadline, intent.max_stuck_clusters), (None, None));
    }

    #[test]
    fn what_is_not_understood_is_refused_with_its_field() {
        let base = json!({"manifests": "m", "placementName": "p", "strategyName": "s"});
        let with = |field: &str, value: Value| {
            let mut spec = base.clone();
            spec[field] = value;
            spec
        };
        for (spec, want) in [
            (json!(null), "/spec: the Rollout has no spec"),
            (with("strategyname", json!("x")), "did you mean `strategyName`?"),
            (with("wibble", json!(1)), "known fields: manifests"),
            (with("suspend", json!("yes")), "/spec/suspend: expected true or false"),
            (with("start", json!("Maybe")), "expected Automatic or Manual"),
            (with("placementName", json!("")), "/spec/placementName: a name is required"),
            (with("placementName", json!("Not A Name")), "is not the name of an object"),
            (with("stages", json!([])), "either strategyName or stages"),
            (with("manifests", json!({"path": "m", "helm": {}})), "helm is not supported yet"),
            (
                with("manifests", json!({"path": "m", "kustomize": {}})),
                "kustomize is not supported yet",
            ),
            (with("manifests", json!(3)), "expected a path"),
            (with("history", json!(0)), "a number from 1 to 100"),
            (with("failure", json!({"progressDeadline": "soon"})), "is not a duration"),
            (with("failure", json!({"progresDeadline": "1m"})), "did you mean `progressDeadline`?"),
            (
                with("failure", json!({"action": "Rollback"})),
                "set progressDeadline, maxStuckClusters",
            ),
            (with("strategyName", Value::Null), "a strategyName, or stages, are required"),
        ] {
            let error = read(spec.clone()).unwrap_err();
            assert!(error.contains(want), "{spec}: {error}");
        }
    }

    #[test]
    fn all_problems_are_told_at_once() {
        let problems = intent(&json!({"spec": {"a": 1, "stages": [{"nam": "x"}]}})).unwrap_err();
        assert!(problems.len() >= 4, "{problems:?}");
    }
}
