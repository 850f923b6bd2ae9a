//! What Fleet would refuse about a strategy or a placement, whatever the fleet looks like (fleet-semantics §2.1, §5.4,
//! §5.5).

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::Problem;
use crate::{
    api::{
        placement::{EXTERNAL, PlacementSpec},
        strategy::{StageTask, StrategySpec, TASK_APPROVAL, TASK_TIMED_WAIT},
    },
    model::{GoDuration, MaxConcurrency},
};

const STAGES_MAX: usize = 31;
const STAGE_NAME_MAX: usize = 63;

/// Returns whether `name` is a DNS subdomain: what Kubernetes wants of most names.
pub fn is_object_name(name: &str) -> bool {
    let part = |part: &str| {
        let inner = part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        !part.is_empty() && inner && !part.starts_with('-') && !part.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(part)
}

/// Returns what is wrong with a strategy; `at` points to its stages.
pub fn strategy(strategy: &StrategySpec, at: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    if strategy.stages.is_empty() {
        problems.push(
            Problem::new(at, "a strategy without stages reaches no cluster")
                .with_hint("add a stage, for example `- {name: all, labelSelector: {}}`"),
        );
    }
    if strategy.stages.len() > STAGES_MAX {
        let count = strategy.stages.len();
        problems.push(Problem::new(at, format!("{count} stages, and at most 31 are allowed")));
    }
    let mut names: BTreeMap<&str, usize> = BTreeMap::new();
    for (number, stage) in strategy.stages.iter().enumerate() {
        let at = format!("{at}/{number}");
        let field = |name: &str| format!("{at}/{name}");
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let name = &stage.name;
        if name.is_empty() || name.len() > STAGE_NAME_MAX || !name.bytes().all(allowed) {
            let shown: String = name.chars().take(80).collect();
            let plain: String =
                name.to_lowercase().chars().filter(char::is_ascii_alphanumeric).collect();
            let problem = Problem::new(
                field("name"),
                format!(
                    "`{shown}` is no stage name: Fleet allows 1 to 63 lower-case letters and digits"
                ),
            );
            problems.push(match plain.as_str() {
                "" => problem,
                plain => problem.with_hint(format!("for example `{plain:.63}`")),
            });
        } else if let Some(first) = names.insert(name, number) {
            problems.push(Problem::new(
                field("name"),
                format!("stage {first} is called `{name}` already: their approvals could not be told apart"),
            ));
        }
        match &stage.max_concurrency {
            None => {}
            Some(IntOrString::Int(count)) => {
                if let Err(error) = MaxConcurrency::count(i64::from(*count)) {
                    problems.push(Problem::new(field("maxConcurrency"), error.to_string()));
                }
            }
            Some(IntOrString::String(text)) => {
                if let Err(error) = text.parse::<MaxConcurrency>() {
                    problems.push(Problem::new(field("maxConcurrency"), error.to_string()));
                }
            }
        }
        let before = stage.before_stage_tasks.as_deref().unwrap_or_default();
        let after = stage.after_stage_tasks.as_deref().unwrap_or_default();
        tasks_before(before, &field("beforeStageTasks"), &mut problems);
        tasks_after(after, &field("afterStageTasks"), &mut problems);
        let expressions = stage.label_selector.iter().flat_map(|s| &s.match_expressions).flatten();
        for (place, expression) in expressions.enumerate() {
            let values = expression.values.as_deref().unwrap_or_default().len();
            let detail = match expression.operator.as_str() {
                "In" | "NotIn" if values == 0 => "In and NotIn need values",
                "Exists" | "DoesNotExist" if values > 0 => "Exists and DoesNotExist take no values",
                "In" | "NotIn" | "Exists" | "DoesNotExist" => continue,
                _ => "the operator is none of In, NotIn, Exists, DoesNotExist",
            };
            let at = format!("{}/matchExpressions/{place}", field("labelSelector"));
            problems.push(Problem::new(at, detail));
        }
    }
    problems
}

fn tasks_before(tasks: &[StageTask], at: &str, problems: &mut Vec<Problem>) {
    if tasks.len() > 1 {
        problems.push(Problem::new(at, "Fleet allows one task before a stage"));
    }
    for (number, task) in tasks.iter().enumerate() {
        if task.kind != TASK_APPROVAL {
            problems.push(Problem::new(
                format!("{at}/{number}/type"),
                "before a stage, Fleet allows only Approval",
            ));
        } else if task.wait_time.is_some() {
            problems.push(no_wait(at, number));
        }
    }
}

fn tasks_after(tasks: &[StageTask], at: &str, problems: &mut Vec<Problem>) {
    if tasks.len() > 2 {
        problems.push(Problem::new(at, "Fleet allows two tasks after a stage"));
    }
    if tasks.iter().any(|a| tasks.iter().filter(|b| a.kind == b.kind).count() > 1) {
        problems.push(Problem::new(at, "Fleet allows one task of each type after a stage"));
    }
    for (number, task) in tasks.iter().enumerate() {
        match (task.kind.as_str(), &task.wait_time) {
            (TASK_APPROVAL, None) => {}
            (TASK_APPROVAL, Some(_)) => problems.push(no_wait(at, number)),
            (TASK_TIMED_WAIT, Some(wait)) => {
                let fine = wait.parse::<GoDuration>().is_ok_and(GoDuration::is_positive)
                    && !["ns", "us", "ms", "\u{b5}"].iter().any(|unit| wait.contains(unit))
                    && !wait.starts_with(['+', '-']);
                if !fine {
                    let shown: String = wait.chars().take(40).collect();
                    problems.push(Problem::new(
                        format!("{at}/{number}/waitTime"),
                        format!("`{shown}` is no wait time: expected hours, minutes and seconds, for example 1h30m"),
                    ));
                }
            }
            (TASK_TIMED_WAIT, None) => problems
                .push(Problem::new(format!("{at}/{number}"), "a TimedWait needs a waitTime")),
            _ => problems.push(Problem::new(
                format!("{at}/{number}/type"),
                "expected TimedWait or Approval",
            )),
        }
    }
}

fn no_wait(at: &str, number: usize) -> Problem {
    Problem::new(format!("{at}/{number}/waitTime"), "an Approval has no waitTime")
}

/// Returns what is wrong with a placement that a staged run shall roll out.
pub fn placement(placement: &PlacementSpec) -> Vec<Problem> {
    let mut problems = Vec::new();
    if placement.strategy_type() != EXTERNAL {
        problems.push(
            Problem::new(
                "/spec/strategy/type",
                format!(
                    "the strategy is {}: Fleet would roll out by itself, past all stages",
                    placement.strategy_type()
                ),
            )
            .with_hint("set spec.strategy.type to External"),
        );
    }
    if placement.resource_selectors.is_empty() {
        problems.push(Problem::new("/spec/resourceSelectors", "the placement selects nothing"));
    }
    problems
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn told(stages: Value) -> String {
        let spec: StrategySpec = serde_json::from_value(json!({ "stages": stages })).unwrap();
        let problems = strategy(&spec, "/spec/stages");
        let texts: Vec<_> =
            problems.iter().map(|p| format!("{}: {}", p.pointer, p.detail)).collect();
        texts.join("\n")
    }

    #[test]
    fn what_fleet_takes_passes() {
        let fine = json!([
            {"name": "staging", "labelSelector": {"matchLabels": {"a": "b"}}, "maxConcurrency": 2,
             "afterStageTasks": [{"type": "TimedWait", "waitTime": "1m30s"}, {"type": "Approval"}]},
            {"name": "rest", "labelSelector": {}, "maxConcurrency": "50%", "beforeStageTasks": [{"type": "Approval"}]},
        ]);
        assert_eq!(told(fine), "");
    }

    #[test]
    fn what_fleet_refuses_is_told_with_its_field() {
        let stage = |field: &str, value: Value| json!([{"name": "a", field: value}]);
        for (stages, want) in [
            (json!([]), "without stages"),
            (json!([{"name": "Canary-1"}]), "/spec/stages/0/name: `Canary-1` is no stage name"),
            (json!([{"name": "a"}, {"name": "a"}]), "/spec/stages/1/name: stage 0 is called"),
            (stage("maxConcurrency", json!(0)), "/spec/stages/0/maxConcurrency: `0`"),
            (stage("maxConcurrency", json!("2")), "/spec/stages/0/maxConcurrency: `2`"),
            (stage("beforeStageTasks", json!([{"type": "TimedWait"}])), "only Approval"),
            (
                stage("beforeStageTasks", json!([{"type": "Approval"}, {"type": "Approval"}])),
                "one task before",
            ),
            (stage("afterStageTasks", json!([{"type": "TimedWait"}])), "needs a waitTime"),
            (
                stage("afterStageTasks", json!([{"type": "TimedWait", "waitTime": "0s"}])),
                "/spec/stages/0/afterStageTasks/0/waitTime",
            ),
            (
                stage("afterStageTasks", json!([{"type": "Approval", "waitTime": "1s"}])),
                "no waitTime",
            ),
            (
                stage("afterStageTasks", json!([{"type": "Party"}])),
                "expected TimedWait or Approval",
            ),
            (
                stage("afterStageTasks", json!([{"type": "Approval"}, {"type": "Approval"}])),
                "one task of each type",
            ),
            (
                stage(
                    "labelSelector",
                    json!({"matchExpressions": [{"key": "k", "operator": "Near"}]}),
                ),
                "/spec/stages/0/labelSelector/matchExpressions/0",
            ),
        ] {
            let told = told(stages.clone());
            assert!(told.contains(want), "{stages}: {told}");
        }
    }

    #[test]
    fn object_names() {
        for (name, is) in [
            ("a", true),
            ("a.b-c", true),
            ("", false),
            ("A", false),
            ("a..b", false),
            ("-a", false),
        ] {
            assert_eq!(is_object_name(name), is, "{name}");
        }
    }
}
