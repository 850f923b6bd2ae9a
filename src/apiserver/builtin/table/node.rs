//! Columns of Nodes and RuntimeClasses.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value;

use super::{
    super::value::{entries, flag, list, text},
    Column,
    shared::{age, text as column, wide},
};

/// The label whose key ends with a role, and the older one whose value is one.
const ROLE_PREFIX: &str = "node-role.kubernetes.io/";
const ROLE: &str = "kubernetes.io/role";

/// The columns of Nodes.
pub(super) fn columns() -> Vec<Column> {
    vec![
        column("Status", "Whether the node is ready.", status),
        column("Roles", "What the node is for.", roles),
        age(),
        column("Version", "Version of the kubelet.", |node, _| {
            text(node, "/status/nodeInfo/kubeletVersion").into()
        }),
        wide("Internal-IP", "Address within the cluster.", |node, _| address(node, "InternalIP")),
        wide("External-IP", "Address from outside.", |node, _| address(node, "ExternalIP")),
        wide("OS-Image", "Operating system.", |node, _| {
            or_unknown(text(node, "/status/nodeInfo/osImage")).into()
        }),
        wide("Kernel-Version", "Version of the kernel.", |node, _| {
            let kernel = or_unknown(text(node, "/status/nodeInfo/kernelVersion"));
            match text(node, "/status/nodeInfo/architecture") {
                "" => kernel.into(),
                architecture => format!("{kernel} ({architecture})").into(),
            }
        }),
        wide("Container-Runtime", "What runs the containers.", |node, _| {
            or_unknown(text(node, "/status/nodeInfo/containerRuntimeVersion")).into()
        }),
    ]
}

/// The columns of RuntimeClasses.
pub(super) fn runtime_class() -> Vec<Column> {
    let handler = column("Handler", "The name by which nodes know it.", |class, _| {
        text(class, "/handler").into()
    });
    vec![handler, age()]
}

fn or_unknown(text: &str) -> &str {
    if text.is_empty() { "<unknown>" } else { text }
}

fn status(node: &Value, _: Timestamp) -> Value {
    // The last condition of a type counts.
    let ready = list(node, "/status/conditions").iter().rfind(|c| text(c, "/type") == "Ready");
    let status = match ready.map(|ready| text(ready, "/status")) {
        None => "Unknown",
        Some("True") => "Ready",
        Some(_) => "NotReady",
    };
    match flag(node, "/spec/unschedulable") {
        true => format!("{status},SchedulingDisabled").into(),
        false => status.into(),
    }
}

fn roles(node: &Value, _: Timestamp) -> Value {
    let mut roles = BTreeSet::new();
    for (key, value) in entries(node, "/metadata/labels") {
        let value = value.as_str().unwrap_or_default();
        match key.strip_prefix(ROLE_PREFIX) {
            Some(role) => roles.insert(role),
            None => key == ROLE && roles.insert(value),
        };
    }
    roles.remove("");
    let roles: Vec<&str> = roles.into_iter().collect();
    if roles.is_empty() { "<none>".into() } else { roles.join(",").into() }
}

fn address(node: &Value, kind: &str) -> Value {
    let found = list(node, "/status/addresses").iter().find(|a| text(a, "/type") == kind);
    found.map_or("<none>", |found| text(found, "/address")).into()
}
