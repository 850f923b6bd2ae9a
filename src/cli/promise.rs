//! What `-o json` prints is what docs/reference/json.md says. Only a test.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use serde_json::{Value, json};

use super::{history, status};
use crate::api::{
    Rollout, kind,
    rollout::{
        ApprovalRecord, FailurePolicy, InventoryEntry, Pinned, Release, Rollback, RolloutSpec,
        RolloutStatus, SourceStatus,
    },
    strategy::Stage,
};

const PAGE: &str = include_str!("../../docs/reference/json.md");

/// Fields whose insides are somebody else's promise, or told elsewhere on the page.
const OPAQUE: [&str; 4] = ["metadata", "spec.manifests", "spec.stages", "status.history"];

fn text() -> String {
    "x".to_owned()
}

fn time() -> Option<Time> {
    Some(Time(jiff::Timestamp::UNIX_EPOCH))
}

/// A run that says everything. No `..`: a new field has to be thought of here, and so on the page.
fn release() -> Release {
    Release {
        commit: text(),
        content_digest: text(),
        resource_hash: Some(text()),
        index: Some(text()),
        run: text(),
        outcome: text(),
        started: time(),
        ended: time(),
        message: Some(text()),
        failure: Some(text()),
        rolled_back_to: Some(text()),
    }
}

fn spec() -> RolloutSpec {
    RolloutSpec {
        manifests: json!("./manifests"),
        placement_name: text(),
        strategy_name: Some(text()),
        stages: Some(vec![Stage::default()]),
        start: Some(text()),
        when_superseded: Some(text()),
        rollback: Some(Rollback { strategy_name: Some(text()) }),
        failure: Some(FailurePolicy {
            progress_deadline: Some(text()),
            max_stuck_clusters: Some(1),
            action: Some(text()),
        }),
        history: Some(1),
        suspend: Some(true),
    }
}

fn approval() -> ApprovalRecord {
    ApprovalRecord {
        commit: text(),
        path: text(),
        signed: Some(text()),
        rollout: text(),
        target: text(),
        stage: text(),
        task: text(),
        decision: text(),
        plan: Some(text()),
        expires: time(),
        by: Some(text()),
        state: text(),
        reason: Some(text()),
        message: Some(text()),
        run: Some(text()),
    }
}

fn status_of_all() -> RolloutStatus {
    RolloutStatus {
        observed_generation: Some(1),
        conditions: vec![Condition {
            type_: text(),
            status: text(),
            reason: text(),
            message: text(),
            last_transition_time: Time(jiff::Timestamp::UNIX_EPOCH),
            observed_generation: Some(1),
        }],
        pinned: Some(Pinned {
            commit: text(),
            content_digest: text(),
            to: text(),
            message: text(),
        }),
        source: Some(SourceStatus {
            repository: text(),
            reference: text(),
            folder: Some(text()),
            path: text(),
            commit: text(),
            policy_commit: Some(text()),
        }),
        commit: Some(text()),
        revision: Some(text()),
        content_digest: Some(text()),
        index: Some(text()),
        run: Some(text()),
        stage: Some(text()),
        clusters: Some(text()),
        message: Some(text()),
        waits_for: Some(text()),
        unbound_since: time(),
        refused_index: Some(text()),
        plan: Some(text()),
        inventory: vec![InventoryEntry {
            group: text(),
            kind: text(),
            namespace: text(),
            name: text(),
        }],
        approvals: vec![approval()],
        history: vec![release()],
    }
}

fn rollout() -> Rollout {
    let mut rollout = Rollout::new("web", &kind::ROLLOUT.resource(), spec());
    rollout.metadata.managed_fields = Some(Vec::new());
    rollout.status = Some(status_of_all());
    rollout
}

/// Returns the paths of all that has a value.
fn fields(value: &Value, path: &str, into: &mut BTreeSet<String>) {
    match value {
        _ if OPAQUE.contains(&path) => {
            into.insert(path.to_owned());
        }
        Value::Object(map) => {
            for (name, value) in map {
                let dot = if path.is_empty() { "" } else { "." };
                fields(value, &format!("{path}{dot}{name}"), into);
            }
        }
        Value::Array(list) => {
            let path = if path.is_empty() { String::new() } else { format!("{path}[]") };
            list.iter().for_each(|value| fields(value, &path, into));
        }
        _ => {
            into.insert(path.to_owned());
        }
    }
}

fn printed(value: &Value) -> BTreeSet<String> {
    let mut into = BTreeSet::new();
    fields(value, "", &mut into);
    into
}

/// Returns the first column of the table after `marker`.
fn documented(marker: &str) -> BTreeSet<String> {
    let (_, after) = PAGE.split_once(marker).unwrap();
    let table = after
        .lines()
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'));
    let cell = |line: &str| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_owned());
    table.filter_map(cell).collect()
}

#[test]
fn the_page_has_every_field_of_a_rollout_and_no_other() {
    let one = status::document(&[rollout()], true).unwrap();
    assert_eq!(one["metadata"].get("managedFields"), None);
    assert_eq!(printed(&one), documented("\nA Rollout:\n"));
    let list = status::document(&[rollout(), rollout()], false).unwrap();
    let names: BTreeSet<String> = list.as_object().unwrap().keys().cloned().collect();
    assert_eq!(names, documented("## `tidegate status`"));
    assert_eq!(list["items"][1], one);
}

#[test]
fn the_page_has_every_field_of_a_run_and_no_other() {
    let runs = history::document(&[release()]);
    assert_eq!(printed(&runs), documented("## `tidegate history`"));
}
