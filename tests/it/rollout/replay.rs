//! Replays what a real hub recorded.

use serde_json::Value;

/// Replaces every time by a word.
pub fn blank_times(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                if matches!(name.as_str(), "lastTransitionTime" | "startTime" | "endTime") {
                    *value = Value::from("then");
                } else {
                    blank_times(value);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(blank_times),
        _ => {}
    }
}
