//! What field selectors see of objects: some fields are said in other places, or are never absent.

use serde_json::Value;

use super::{
    ResourceDefinition,
    value::{fill, object_at, set, text},
};

/// An object as field selectors see it.
#[must_use]
pub fn selectable(definition: &ResourceDefinition, mut object: Value) -> Value {
    if !definition.builtin || !definition.group.is_empty() {
        return object;
    }
    match definition.kind.as_str() {
        "Pod" => {
            let address = text(&object, "/status/podIPs/0/ip").to_owned();
            if let Some(spec) = object_at(&mut object, "spec") {
                fill(spec, "hostNetwork", false);
                let node = text(spec, "/nodeName").to_owned();
                set(spec, "host", node);
            }
            if let Some(status) = object_at(&mut object, "status") {
                set(status, "podIP", address);
                set(status, "podIPs", Value::Null);
            }
        }
        "Event" => {
            let of = |at: &str| text(&object, at).to_owned();
            let (component, reporter) = (of("/source/component"), of("/reportingComponent"));
            let source = if component.is_empty() { reporter } else { component };
            set(&mut object, "source", source);
        }
        "Node" => {
            if let Some(spec) = object_at(&mut object, "spec") {
                fill(spec, "unschedulable", false);
            }
        }
        _ => {}
    }
    object
}
