//! Label selectors of stages.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};

/// Returns whether `selector` picks an object with these labels: absent picks nothing, an empty one everything
/// (fleet-semantics §2.1).
///
/// # Errors
/// When the selector itself is wrong, whatever the labels; in the words of Kubernetes.
pub(super) fn picks(
    selector: Option<&LabelSelector>,
    labels: &BTreeMap<String, String>,
) -> Result<bool, String> {
    let Some(selector) = selector else { return Ok(false) };
    let mut picked = selector
        .match_labels
        .iter()
        .flatten()
        .all(|(key, value)| labels.get(key).is_some_and(|held| held == value));
    for requirement in selector.match_expressions.iter().flatten() {
        picked &= meets(requirement, labels)?;
    }
    Ok(picked)
}

/// Returns what is wrong with `selector`, if something is.
pub(super) fn check(selector: Option<&LabelSelector>) -> Result<(), String> {
    picks(selector, &BTreeMap::new()).map(drop)
}

fn meets(
    requirement: &LabelSelectorRequirement,
    labels: &BTreeMap<String, String>,
) -> Result<bool, String> {
    let held = labels.get(&requirement.key);
    let values = requirement.values.as_deref().unwrap_or_default();
    let among = || match values {
        [] => {
            Err("values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty"
                .to_owned())
        }
        values => Ok(held.is_some_and(|held| values.contains(held))),
    };
    let present = || match values {
        [] => Ok(held.is_some()),
        values => Err(format!(
            "values: Invalid value: {values:?}: values set must be empty for exists and does not exist"
        )),
    };
    match requirement.operator.as_str() {
        "In" => among(),
        // An object without the label is not in any set.
        "NotIn" => among().map(|among| !among),
        "Exists" => present(),
        "DoesNotExist" => present().map(|present| !present),
        operator => Err(format!("\"{operator}\" is not a valid label selector operator")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn selector(value: serde_json::Value) -> LabelSelector {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn every_operator_reads_as_in_kubernetes() {
        let labels = BTreeMap::from([("env".to_owned(), "canary".to_owned())]);
        let expression = |operator: &str, key: &str, values: &[&str]| json!({"matchExpressions": [{"key": key, "operator": operator, "values": values}]});
        for (value, want) in [
            (json!({}), true),
            (json!({"matchLabels": {"env": "canary"}}), true),
            (json!({"matchLabels": {"env": "staging"}}), false),
            (json!({"matchLabels": {"env": "canary", "zone": "a"}}), false),
            (expression("In", "env", &["staging", "canary"]), true),
            (expression("In", "zone", &["a"]), false),
            (expression("NotIn", "env", &["canary"]), false),
            (expression("NotIn", "zone", &["a"]), true),
            (expression("Exists", "env", &[]), true),
            (expression("Exists", "zone", &[]), false),
            (expression("DoesNotExist", "env", &[]), false),
            (expression("DoesNotExist", "zone", &[]), true),
        ] {
            assert_eq!(picks(Some(&selector(value.clone())), &labels), Ok(want), "{value}");
        }
        assert_eq!(picks(None, &labels), Ok(false));
    }

    #[test]
    fn a_wrong_selector_is_wrong_even_for_no_labels() {
        for (operator, values) in
            [("Like", &[][..]), ("In", &[]), ("NotIn", &[]), ("Exists", &["a"])]
        {
            let value =
                json!({"matchExpressions": [{"key": "k", "operator": operator, "values": values}]});
            assert!(check(Some(&selector(value))).is_err(), "{operator} {values:?}");
        }
    }
}
