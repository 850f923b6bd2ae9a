//! Objects to YAML fit for review.

use serde_json::Value;

/// Returns the objects as a YAML stream: apiVersion, kind and metadata first, as people write them.
///
/// # Errors
/// When an object cannot be written, which no JSON object causes.
pub fn yaml(objects: &[Value]) -> Result<String, serde_yaml::SerializeError> {
    let mut text = String::new();
    for (at, object) in objects.iter().enumerate() {
        if at > 0 {
            text.push_str("---\n");
        }
        let Value::Object(map) = object else {
            text.push_str(&serde_yaml::to_string(object)?);
            continue;
        };
        let first = ["apiVersion", "kind", "metadata"];
        let named = first.iter().filter_map(|key| map.get_key_value(*key));
        let rest = map.iter().filter(|(key, _)| !first.contains(&key.as_str()));
        for (key, value) in named.chain(rest) {
            let mut field = serde_json::Map::new();
            field.insert(key.clone(), value.clone());
            text.push_str(&serde_yaml::to_string(&field)?);
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_written_reads_back_and_words_that_look_like_booleans_are_quoted() {
        let object = json!({"data": {"a": "yes", "n": "1"}, "metadata": {"name": "x"}, "kind": "ConfigMap", "apiVersion": "v1"});
        let text = yaml(&[object.clone(), json!({"kind": "B"})]).unwrap();
        assert!(text.starts_with("apiVersion: v1\nkind: ConfigMap\nmetadata:\n"), "{text}");
        let documents =
            crate::manifest::decode("x.yaml", text.as_bytes(), &Default::default()).unwrap();
        assert_eq!(documents[0].value, object);
        assert_eq!(documents.len(), 2);
    }
}
