//! Member clusters (fleet-semantics §2.10).

use serde_json::{Value, json};

use super::{
    definition::{Column, Definition, age, condition},
    schema::{anything, conditions, list, list_up_to, object, text, time, word, word_or},
};
use crate::api::kind;

pub(super) fn all() -> Vec<Value> {
    vec![member_cluster()]
}

fn member_cluster() -> Value {
    let identity = object(
        json!({"apiGroup": text(), "kind": text(), "name": text(), "namespace": text()}),
        &["kind", "name"],
    );
    let taint = object(
        json!({"effect": word(&["NoSchedule"]), "key": text(), "value": text()}),
        &["effect", "key"],
    );
    let spec = object(
        json!({
            "deleteOptions": object(json!({"validationMode": word_or(&["Strict", "Skip"], "Strict")}), &[]),
            "heartbeatPeriodSeconds": {"type": "integer", "format": "int32", "default": 60, "minimum": 1, "maximum": 600},
            "identity": identity,
            "taints": list_up_to(100, taint),
        }),
        &["identity"],
    );
    let agent = object(
        json!({"conditions": conditions(), "lastReceivedHeartbeat": time(), "type": text()}),
        &["type"],
    );
    let property =
        object(json!({"observationTime": time(), "value": text()}), &["observationTime", "value"]);
    let status = object(
        json!({
            "agentStatus": list(agent),
            "conditions": conditions(),
            "namespaces": {"type": "object", "additionalProperties": text()},
            "properties": {"type": "object", "additionalProperties": property},
            "resourceUsage": anything(),
        }),
        &[],
    );
    let about = "A cluster of the fleet. Its labels are what stages select by.";
    let rules = &[("size(self.metadata.name) < 64", "metadata.name max length is 63")][..];
    Definition {
        kind: kind::MEMBER_CLUSTER,
        short: &["cluster"],
        about,
        spec,
        status: Some(status),
        status_subresource: true,
        columns: columns(),
        rules,
    }
    .build()
}

fn columns() -> Vec<Column> {
    let resource = |name, path: &str, priority| {
        (name, format!(".status.resourceUsage.{path}"), "string", priority)
    };
    vec![
        condition("Joined", "Joined", "status", 0),
        age(),
        (
            "Member-Agent-Last-Seen",
            ".status.agentStatus[?(@.type==\"MemberAgent\")].lastReceivedHeartbeat".to_owned(),
            "date",
            0,
        ),
        (
            "Node-Count",
            ".status.properties['kubernetes-fleet.io/node-count'].value".to_owned(),
            "string",
            0,
        ),
        resource("Available-CPU", "available.cpu", 0),
        resource("Available-Memory", "available.memory", 0),
        resource("Allocatable-CPU", "allocatable.cpu", 1),
        resource("Allocatable-Memory", "allocatable.memory", 1),
    ]
}
