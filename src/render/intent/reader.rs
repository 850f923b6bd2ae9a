//! The fields of a Rollout's spec, one by one.

use serde_json::{Map, Value};

use super::StrategyChoice;
use crate::{
    api::{
        rollout::{FAILURE_ROLLBACK, FAILURE_STOP, FAILURE_WAIT},
        strategy::{Stage, StrategySpec},
    },
    model::GoDuration,
    render::{Problem, check, nearest::nearest},
};

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

/// Reads fields, and collects what is wrong with them.
pub(super) struct Reader {
    pub(super) problems: Vec<Problem>,
}

impl Reader {
    pub(super) fn problem(&mut self, pointer: impl Into<String>, detail: impl Into<String>) {
        self.problems.push(Problem::new(pointer, detail));
    }

    pub(super) fn known(&mut self, at: &str, map: &Map<String, Value>, fields: &[&str]) {
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

    pub(super) fn name(
        &mut self,
        spec: &Map<String, Value>,
        field: &str,
        required: bool,
    ) -> Option<String> {
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

    pub(super) fn word<'a>(
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

    pub(super) fn manifests(&mut self, value: Option<&Value>) -> String {
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

    pub(super) fn strategy(&mut self, spec: &Map<String, Value>) -> StrategyChoice {
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

    pub(super) fn rollback(&mut self, spec: &Map<String, Value>) -> Option<String> {
        let map = self.object(spec, "rollback", &["strategyName"])?.clone();
        let name = map.get("strategyName")?.as_str().unwrap_or_default();
        if check::is_object_name(name) {
            return Some(name.to_owned());
        }
        self.problem("/spec/rollback/strategyName", "expected the name of a strategy");
        None
    }

    pub(super) fn deadline(&mut self, spec: &Map<String, Value>) -> Option<GoDuration> {
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

    pub(super) fn failure(&mut self, spec: &Map<String, Value>) -> Option<u32> {
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

    pub(super) fn history(&mut self, spec: &Map<String, Value>) -> usize {
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
