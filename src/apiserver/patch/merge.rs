//! JSON merge patch (RFC 7386).

use serde_json::Value;

/// Merges `patch` into `doc`: `null` removes, objects merge, everything else replaces.
#[must_use]
pub fn apply(doc: &Value, patch: &Value) -> Value {
    let mut doc = doc.clone();
    json_patch::merge(&mut doc, patch);
    doc
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::apiserver::testing::any_json;

    #[test]
    fn the_examples_of_the_rfc_hold() {
        for (doc, patch, merged) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (
                json!({"a": {"b": "c"}}),
                json!({"a": {"b": "d", "c": null}}),
                json!({"a": {"b": "d"}}),
            ),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!({"a": "foo"}), json!(null), json!(null)),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ] {
            assert_eq!(apply(&doc, &patch), merged, "{doc} {patch}");
        }
    }

    proptest! {
        #![proptest_config(crate::properties::config())]

        #[test]
        fn merging_twice_is_merging_once(doc in any_json(), patch in any_json()) {
            let once = apply(&doc, &patch);
            prop_assert_eq!(apply(&once, &patch), once);
        }
    }
}
