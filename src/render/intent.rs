//! A Rollout's spec, read strictly: what is not understood is refused, never guessed.

use serde_json::{Map, Value};

use super::{Problem, check};
use crate::{
    api::{
        rollout::{
            FAILURE_ROLLBACK, FAILURE_STOP, FAILURE_WAIT, START_AUTOMATIC, START_MANUAL,
            SUPERSEDE_QUEUE, SUPERSEDE_STOP,
        },
        strategy::{Stage, StrategySpec},
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
const STAGE_FIELDS: &[&str] = &[
    "name",
    "labelSelector",
    "sortingLabelKey",
    "maxConcurrency",
    "beforeStageTasks",
    "afterStageTasks",
];
const HISTORY: usize = 10;
const HISTORY_MAX: u64 = 100;

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

struct Reader {
    problems: Vec<Problem>,
}

impl Reader {
    fn problem(&mut self, pointer: impl Into<String>, detail: impl Into<String>) {
        self.problems.push(Problem::new(pointer, detail));
    }

    fn known(&mut self, at: &str, map: &Map<String, Value>, fields: &[&str]) {
        for field in map.keys().filter(|field| !fields.contains(&field.as_str())) {
            let shown: String = field.chars().take(60).collect();
            let problem = Problem::new(
                format!("{at}/{}", field.replace('~', "~0").replace('/', "~1")),
                "there is no such field",
            );
            self.problems.push(match nearest(&shown, fields) {
                Some(near) => problem.with_hint(format!("did you mean `{near}`?")),
                None => problem.with_hint(format!("known fields: {}", fields.join(", "))),
            });
        }
    }

    fn object<'a>(
        &mut self,
        spec: &'a Map<String, Value>,
        field: &str,
        known: &[&str],
    ) -> Option<&'a Map<String, Value>> {
        match spec.get(field) {
            None | Some(Value::Null) => None,
            Some(Value::Object(map)) => {
                self.known(&format!("/spec/{field}"), map, known);
                Some(map)
            }
            Some(_) => {
                self.problem(format!("/spec/{field}"), "expected an object");
                None
            }
        }
    }

    fn name(&mut self, spec: &Map<String, Value>, field: &str, required: bool) -> Option<String> {
        let pointer = format!("/spec/{field}");
        match spec.get(field) {
            Some(Value::String(name)) if check::is_object_name(name) => return Some(name.clone()),
            Some(Value::String(name)) if !name.is_empty() => {
                let shown: String = name.chars().take(80).collect();
                self.problem(pointer, format!("`{shown}` is not the name of an object"));
            }
            None | Some(Value::Null | Value::String(_)) if required => {
                self.problem(pointer, "a name is required");
            }
            None | Some(Value::Null | Value::String(_)) => {}
            Some(_) => self.problem(pointer, "expected a name"),
        }
        None
    }

    fn word<'a>(
        &mut self,
        spec: &Map<String, Value>,
        field: &str,
        words: &[&'a str],
    ) -> Option<&'a str> {
        let value = spec.get(field).filter(|value| !value.is_null())?;
        let word = words.iter().find(|word| value.as_str() == Some(word)).copied();
        if word.is_none() {
            self.problem(format!("/spec/{field}"), format!("expected {}", words.join(" or ")));
        }
        word
    }

    fn manifests(&mut self, value: Option<&Value>) -> String {
        const AT: &str = "/spec/manifests";
        match value {
            Some(Value::String(path)) => return path.clone(),
            Some(Value::Object(map)) => {
                self.known(AT, map, &["path", "kustomize", "helm"]);
                for renderer in ["kustomize", "helm"] {
                    if map.contains_key(renderer) {
                        self.problems.push(
                            Problem::new(
                                format!("{AT}/{renderer}"),
                                format!("{renderer} is not supported yet"),
                            )
                            .with_hint("render in CI and commit plain manifests"),
                        );
                    }
                }
                match map.get("path") {
                    Some(Value::String(path)) => return path.clone(),
                    _ => self.problem(format!("{AT}/path"), "a path is required"),
                }
            }
            None | Some(Value::Null) => self.problem(AT, "a path is required"),
            Some(_) => self.problem(AT, "expected a path, or an object with a path"),
        }
        String::new()
    }

    fn strategy(&mut self, spec: &Map<String, Value>) -> StrategyChoice {
        let given = |field: &str| spec.get(field).is_some_and(|value| !value.is_null());
        match (given("strategyName"), given("stages")) {
            (true, true) => {
                self.problem("/spec/stages", "either strategyName or stages, not both");
            }
            (false, false) => {
                self.problem("/spec/strategyName", "a strategyName, or stages, are required");
            }
            (true, false) => {
                let name = self.name(spec, "strategyName", true);
                return StrategyChoice::Named(name.unwrap_or_default());
            }
            (false, true) => {
                if let Some(stages) = self.stages(&spec["stages"]) {
                    let strategy = StrategySpec { stages };
                    let problems = check::strategy(&strategy, "/spec/stages");
                    self.problems.extend(problems);
                    return StrategyChoice::Inline(strategy);
                }
            }
        }
        StrategyChoice::Named(String::new())
    }

    fn stages(&mut self, value: &Value) -> Option<Vec<Stage>> {
        let before = self.problems.len();
        let Some(list) = value.as_array() else {
            self.problem("/spec/stages", "expected a list of stages");
            return None;
        };
        let mut stages = Vec::new();
        for (at, stage) in list.iter().enumerate() {
            let pointer = format!("/spec/stages/{at}");
            if let Some(map) = stage.as_object() {
                self.known(&pointer, map, STAGE_FIELDS);
            }
            match serde_json::from_value::<Stage>(stage.clone()) {
                Ok(stage) => stages.push(stage),
                Err(error) => self.problem(pointer, error.to_string()),
            }
        }
        (self.problems.len() == before).then_some(stages)
    }

    fn rollback(&mut self, spec: &Map<String, Value>) -> Option<String> {
        let map = self.object(spec, "rollback", &["strategyName"])?.clone();
        let name = map.get("strategyName")?.as_str().unwrap_or_default();
        if check::is_object_name(name) {
            return Some(name.to_owned());
        }
        self.problem("/spec/rollback/strategyName", "expected the name of a strategy");
        None
    }

    fn deadline(&mut self, spec: &Map<String, Value>) -> Option<GoDuration> {
        let value = spec.get("failure")?.get("progressDeadline")?;
        match value.as_str().unwrap_or_default().parse::<GoDuration>() {
            Ok(deadline) if deadline.is_positive() => Some(deadline).filter(|_| !waits(spec)),
            Ok(_) => {
                self.problem("/spec/failure/progressDeadline", "expected more than nothing");
                None
            }
            Err(error) => {
                self.problem("/spec/failure/progressDeadline", error.to_string());
                None
            }
        }
    }

    fn failure(&mut self, spec: &Map<String, Value>) -> Option<u32> {
        let map = self
            .object(spec, "failure", &["progressDeadline", "maxStuckClusters", "action"])?
            .clone();
        match map.get("action").map(|action| action.as_str().unwrap_or_default()) {
            Some(FAILURE_ROLLBACK)
                if !["progressDeadline", "maxStuckClusters"]
                    .iter()
                    .any(|f| map.contains_key(*f)) =>
            {
                self.problems.push(
                    Problem::new(
                        "/spec/failure/action",
                        "without a limit there is never a rollback",
                    )
                    .with_hint("set progressDeadline, maxStuckClusters, or both"),
                );
            }
            None | Some(FAILURE_STOP | FAILURE_ROLLBACK | FAILURE_WAIT) => {}
            Some(_) => self.problem("/spec/failure/action", "expected Stop, Rollback or Wait"),
        }
        let value = map.get("maxStuckClusters")?;
        let count = value.as_u64().and_then(|count| u32::try_from(count).ok());
        if count.is_none() {
            self.problem("/spec/failure/maxStuckClusters", "expected a number, 0 or more");
        }
        count.filter(|_| !waits(spec))
    }

    fn history(&mut self, spec: &Map<String, Value>) -> usize {
        match spec.get("history") {
            None | Some(Value::Null) => HISTORY,
            Some(value) => match value.as_u64() {
                Some(count @ 1..=HISTORY_MAX) => usize::try_from(count).unwrap_or(HISTORY),
                _ => {
                    let detail = format!("expected a number from 1 to {HISTORY_MAX}");
                    self.problem("/spec/history", detail);
                    HISTORY
                }
            },
        }
    }
}

/// Returns whether the failure policy is to wait, whatever happens: then it has no limits.
fn waits(spec: &Map<String, Value>) -> bool {
    spec.get("failure").is_some_and(|failure| failure["action"] == FAILURE_WAIT)
}

/// Returns the known field that a misspelt one is nearest to, if it is near.
pub(super) fn nearest<'a>(text: &str, known: &[&'a str]) -> Option<&'a str> {
    let best = known.iter().map(|word| (distance(text, word), *word)).min()?;
    (best.0 <= 2 || best.0 * 3 <= text.chars().count()).then_some(best.1)
}

/// Levenshtein's distance, blind to case.
fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.to_lowercase(), b.to_lowercase());
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let change = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row.last().copied().unwrap_or_default()
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
