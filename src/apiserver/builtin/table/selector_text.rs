//! Selectors and label maps, as kubectl's columns print them.

use serde_json::Value;

/// Prints a map of labels: `a=b,c=d`, or `<none>` when it is empty.
pub(super) fn labels(map: Option<&Value>) -> String {
    let text = equalities(map).join(",");
    if text.is_empty() { "<none>".to_owned() } else { text }
}

/// Prints a `LabelSelector` object, `none` for one that selects everything, `<none>` where there is none at all.
pub(super) fn selector(selector: Option<&Value>) -> String {
    match requirements(selector) {
        None => "<error>".to_owned(),
        Some(parts) if parts.is_empty() => "<none>".to_owned(),
        Some(parts) => parts.join(","),
    }
}

/// The requirements of a `LabelSelector`, sorted by key as the selector's own text has them; `None` when an operator
/// is unknown.
pub(super) fn requirements(selector: Option<&Value>) -> Option<Vec<String>> {
    let Some(selector) = selector else { return Some(Vec::new()) };
    let mut parts: Vec<(String, String)> = selector
        .get("matchLabels")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|(key, value)| (key.clone(), format!("{key}={}", value.as_str().unwrap_or_default())))
        .collect();
    let expressions = selector.get("matchExpressions").and_then(Value::as_array);
    for expression in expressions.into_iter().flatten() {
        let text = |name: &str| expression.get(name).and_then(Value::as_str).unwrap_or_default();
        let key = text("key");
        let mut values: Vec<&str> = expression
            .get("values")
            .and_then(Value::as_array)
            .map(|list| list.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        values.sort_unstable();
        let values = values.join(",");
        let printed = match text("operator") {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "Exists" => key.to_owned(),
            "DoesNotExist" => format!("!{key}"),
            _ => return None,
        };
        parts.push((key.to_owned(), printed));
    }
    parts.sort_by(|a, b| a.0.cmp(&b.0));
    Some(parts.into_iter().map(|(_, text)| text).collect())
}

fn equalities(map: Option<&Value>) -> Vec<String> {
    let map = map.and_then(Value::as_object);
    map.into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn selectors_print_sorted() {
        let table = [
            (json!({}), "<none>"),
            (json!({"matchLabels": {"b": "2", "a": "1"}}), "a=1,b=2"),
            (
                json!({"matchLabels": {"b": "2"}, "matchExpressions": [
                    {"key": "a", "operator": "In", "values": ["y", "x"]},
                    {"key": "c", "operator": "DoesNotExist"}, {"key": "d", "operator": "Exists"},
                    {"key": "e", "operator": "NotIn", "values": ["z"]},
                ]}),
                "a in (x,y),b=2,!c,d,e notin (z)",
            ),
            (json!({"matchExpressions": [{"key": "a", "operator": "Near"}]}), "<error>"),
        ];
        for (object, text) in table {
            assert_eq!(selector(Some(&object)), text);
        }
        assert_eq!(labels(None), "<none>");
        assert_eq!(labels(Some(&json!({"k": "v", "a": "b"}))), "a=b,k=v");
    }
}
