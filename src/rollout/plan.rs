//! Strategy and members into stages (fleet-semantics §5.5).

use std::collections::{BTreeMap, BTreeSet};

use super::{fault::Fault, selector};
use crate::{
    api::{
        run::{ClusterStatus, StageStatus, TaskStatus},
        strategy::{Stage, StageTask, StrategySpec, TASK_APPROVAL, TASK_TIMED_WAIT},
    },
    model::GoDuration,
};

/// How many clusters without a stage the error names.
const UNPLACED_NAMES_MAX: usize = 10;
/// Shorter waits would be written as milliseconds, which the schema of the run's status refuses (§11.2 #32).
const WAIT_MIN: GoDuration = GoDuration::from_seconds(1);

/// What a plan is made of, besides the strategy.
pub(super) struct Ground<'a> {
    /// Name of the run: gates are named after it.
    pub run: &'a str,
    /// Key of the strategy, for messages.
    pub strategy_key: &'a str,
    /// Clusters that the policy selected.
    pub selected: BTreeSet<&'a str>,
    /// Labels of every member, by name.
    pub members: &'a BTreeMap<String, BTreeMap<String, String>>,
}

/// What went wrong, and the stages that were planned when only clusters are left over: Fleet records those.
pub(super) struct Unplanned {
    pub fault: Fault,
    pub stages: Option<Vec<StageStatus>>,
}

impl From<Fault> for Unplanned {
    fn from(fault: Fault) -> Self {
        Self { fault, stages: None }
    }
}

/// Returns the stages with their clusters in the order of execution and their gates, without conditions.
///
/// # Errors
/// When the strategy is wrong, or does not put every selected cluster into exactly one stage.
pub(super) fn plan(
    strategy: &StrategySpec,
    ground: &Ground<'_>,
) -> Result<Vec<StageStatus>, Unplanned> {
    let mut placed = BTreeSet::new();
    let mut stages = Vec::with_capacity(strategy.stages.len());
    for stage in &strategy.stages {
        check_tasks(stage, ground)?;
        selector::check(stage.label_selector.as_ref()).map_err(|wrong| {
            Fault::invalid_user(format!(
                "the stage label selector is invalid, updateStrategy: `{}`, stage: {}, err: {wrong}",
                ground.strategy_key, stage.name
            ))
        })?;
        let clusters = clusters_of(stage, ground, &mut placed)?;
        stages.push(stage_status(stage, clusters, ground.run));
    }
    let left: Vec<&str> = ground.selected.difference(&placed).copied().collect();
    if left.is_empty() {
        return Ok(stages);
    }
    let named = left[..left.len().min(UNPLACED_NAMES_MAX)].join(", ");
    let fault = Fault::invalid_user(format!(
        "some clusters are not placed in any stage, total {}, showing up to {UNPLACED_NAMES_MAX}: {named}",
        left.len()
    ));
    Err(Unplanned { fault, stages: Some(stages) })
}

fn clusters_of<'a>(
    stage: &Stage,
    ground: &Ground<'a>,
    placed: &mut BTreeSet<&'a str>,
) -> Result<Vec<&'a str>, Fault> {
    let mut clusters: Vec<(i64, &str)> = Vec::new();
    for cluster in &ground.selected {
        let Some(labels) = ground.members.get(*cluster) else { continue };
        if !selector::picks(stage.label_selector.as_ref(), labels).unwrap_or(false) {
            continue;
        }
        if !placed.insert(cluster) {
            return Err(Fault::invalid_user(format!(
                "cluster `{cluster}` appears in more than one stages"
            )));
        }
        clusters.push((sorting_number(stage, cluster, labels)?, cluster));
    }
    clusters.sort_unstable();
    Ok(clusters.into_iter().map(|(_, cluster)| cluster).collect())
}

/// Returns the number that orders the cluster: the value of the sorting label, or the same for all without one.
fn sorting_number(
    stage: &Stage,
    cluster: &str,
    labels: &BTreeMap<String, String>,
) -> Result<i64, Fault> {
    let Some(key) = stage.sorting_label_key.as_deref() else { return Ok(0) };
    let value = labels.get(key).map_or("", String::as_str);
    parse_int(value).map_err(|problem| {
        Fault::invalid_user(format!(
            "the sorting label `{key}:{value}` on cluster `{cluster}` is not valid: strconv.Atoi: parsing {value:?}: {problem}"
        ))
    })
}

/// Reads what Go's `strconv.Atoi` reads: an optional sign and decimal digits, in the range of 64 bits.
pub(super) fn parse_int(text: &str) -> Result<i64, &'static str> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("invalid syntax");
    }
    text.parse().map_err(|_| "value out of range")
}

fn stage_status(stage: &Stage, clusters: Vec<&str>, run: &str) -> StageStatus {
    let tasks = |tasks: &Option<Vec<StageTask>>, place: &str| {
        let tasks = tasks.as_deref().filter(|tasks| !tasks.is_empty())?;
        let status = |task: &StageTask| TaskStatus {
            kind: task.kind.clone(),
            approval_request_name: (task.kind == TASK_APPROVAL)
                .then(|| format!("{run}-{place}-{}", stage.name)),
            conditions: Vec::new(),
        };
        Some(tasks.iter().map(status).collect())
    };
    StageStatus {
        stage_name: stage.name.clone(),
        clusters: clusters
            .into_iter()
            .map(|name| ClusterStatus { cluster_name: name.to_owned(), ..ClusterStatus::default() })
            .collect(),
        before_stage_task_status: tasks(&stage.before_stage_tasks, "before"),
        after_stage_task_status: tasks(&stage.after_stage_tasks, "after"),
        ..StageStatus::default()
    }
}

fn check_tasks(stage: &Stage, ground: &Ground<'_>) -> Result<(), Fault> {
    let wrap = |place: &'static str| {
        move |wrong: String| {
            Fault::invalid_user(format!(
                "the {place} stage tasks are invalid, updateStrategy: `{}`, stage: {}, err: {wrong}",
                ground.strategy_key, stage.name
            ))
        }
    };
    check_before(stage.before_stage_tasks.as_deref().unwrap_or_default())
        .map_err(wrap("before"))?;
    check_after(stage.after_stage_tasks.as_deref().unwrap_or_default()).map_err(wrap("after"))
}

fn check_before(tasks: &[StageTask]) -> Result<(), String> {
    if tasks.len() > 1 {
        return Err("beforeStageTasks can have at most one task".to_owned());
    }
    for (at, task) in tasks.iter().enumerate() {
        if task.kind != TASK_APPROVAL {
            return Err(format!(
                "task {at} of type {} is not allowed in beforeStageTasks, allowed type: Approval",
                task.kind
            ));
        }
        check_approval(at, task)?;
    }
    Ok(())
}

fn check_after(tasks: &[StageTask]) -> Result<(), String> {
    if let [first, second, ..] = tasks
        && first.kind == second.kind
    {
        return Err(format!(
            "afterStageTasks cannot have two tasks of the same type: {}",
            first.kind
        ));
    }
    for (at, task) in tasks.iter().enumerate() {
        match task.kind.as_str() {
            TASK_TIMED_WAIT => check_wait(at, task)?,
            _ => check_approval(at, task)?,
        }
    }
    Ok(())
}

fn check_approval(at: usize, task: &StageTask) -> Result<(), String> {
    match task.wait_time {
        None => Ok(()),
        Some(_) => Err(format!("task {at} of type Approval cannot have wait duration set")),
    }
}

fn check_wait(at: usize, task: &StageTask) -> Result<(), String> {
    let Some(text) = task.wait_time.as_deref() else {
        return Err(format!("task {at} of type TimedWait has wait duration set to nil"));
    };
    match text.parse::<GoDuration>() {
        Err(invalid) => {
            Err(format!("task {at} of type TimedWait has invalid wait duration: {invalid}"))
        }
        Ok(wait) if !wait.is_positive() => {
            Err(format!("task {at} of type TimedWait has wait duration <= 0"))
        }
        Ok(wait) if wait < WAIT_MIN => {
            Err(format!("task {at} of type TimedWait has wait duration < {WAIT_MIN}"))
        }
        Ok(_) => Ok(()),
    }
}

/// Returns the strategy as a run keeps it: no wait on approvals, waits in canonical spelling (§2.1).
pub(super) fn frozen(strategy: &StrategySpec) -> StrategySpec {
    let mut frozen = strategy.clone();
    for stage in &mut frozen.stages {
        let before = stage.before_stage_tasks.iter_mut().flatten();
        for task in before.chain(stage.after_stage_tasks.iter_mut().flatten()) {
            if task.kind == TASK_APPROVAL {
                task.wait_time = None;
            } else if let Some(Ok(wait)) = task.wait_time.as_deref().map(str::parse::<GoDuration>) {
                task.wait_time = Some(wait.to_string());
            }
        }
    }
    frozen
}
