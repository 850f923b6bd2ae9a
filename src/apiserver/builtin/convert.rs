//! Events: one store, two kinds.
//!
//! Core `v1` Events and `events.k8s.io/v1` Events are the same objects; kubectl reads the former, newer clients write
//! the latter. What is stored is the core form.

use serde_json::{Map, Value};

/// Fields with another name, or another place, in the core form: (events.k8s.io, core).
const RENAMED: &[(&str, &str)] = &[
    ("regarding", "involvedObject"),
    ("note", "message"),
    ("reportingController", "reportingComponent"),
    ("deprecatedSource", "source"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
    ("deprecatedCount", "count"),
];

/// The core `v1` form of an `events.k8s.io/v1` Event. Fields that have the same name in both, and unknown ones, stay.
#[must_use]
pub fn event_to_core(event: Value) -> Value {
    rename(event, "v1", RENAMED.iter().copied())
}

/// The `events.k8s.io/v1` form of a core `v1` Event.
#[must_use]
pub fn event_from_core(event: Value) -> Value {
    rename(event, "events.k8s.io/v1", RENAMED.iter().map(|(new, core)| (*core, *new)))
}

fn rename(
    event: Value,
    api_version: &str,
    names: impl Iterator<Item = (&'static str, &'static str)> + Clone,
) -> Value {
    let Value::Object(fields) = event else { return event };
    let renamed: Map<String, Value> = fields
        .into_iter()
        .map(|(key, value)| {
            let other = names.clone().find(|(from, _)| *from == key);
            match (other, key.as_str()) {
                (Some((_, to)), _) => (to.to_owned(), value),
                (None, "apiVersion") => (key, api_version.into()),
                (None, _) => (key, value),
            }
        })
        .collect();
    Value::Object(renamed)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn events_convert_both_ways() {
        let new = json!({
            "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "e", "namespace": "n"},
            "regarding": {"kind": "Pod", "name": "p"}, "note": "said", "reason": "R", "type": "Normal",
            "reportingController": "c", "reportingInstance": "i", "action": "A", "eventTime": "2026-11-23T10:00:00.000000Z",
            "deprecatedCount": 2, "deprecatedSource": {"component": "k"}, "related": {"kind": "Node"},
            "deprecatedFirstTimestamp": "2026-11-23T10:00:00Z", "deprecatedLastTimestamp": null,
            "series": {"count": 2, "lastObservedTime": "2026-11-23T10:00:00.000000Z"},
        });
        let core = json!({
            "apiVersion": "v1", "kind": "Event", "metadata": {"name": "e", "namespace": "n"},
            "involvedObject": {"kind": "Pod", "name": "p"}, "message": "said", "reason": "R", "type": "Normal",
            "reportingComponent": "c", "reportingInstance": "i", "action": "A", "eventTime": "2026-11-23T10:00:00.000000Z",
            "count": 2, "source": {"component": "k"}, "related": {"kind": "Node"},
            "firstTimestamp": "2026-11-23T10:00:00Z", "lastTimestamp": null,
            "series": {"count": 2, "lastObservedTime": "2026-11-23T10:00:00.000000Z"},
        });
        assert_eq!(event_to_core(new.clone()), core);
        assert_eq!(event_from_core(core), new);
        assert_eq!(event_to_core(json!([1])), json!([1]));
    }
}
