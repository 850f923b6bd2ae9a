//! Request bodies by their content types: JSON, YAML and protobuf, into values.

use serde_json::Value;

use super::{
    builtin::protobuf::{self, ProtobufError},
    failure::Failure,
    json::{self, Decoded},
    yaml,
};

/// Content types of whole objects.
const OBJECT_TYPES: &[&str] = &["application/json", "application/yaml", protobuf::CONTENT_TYPE];

/// Why a body is no document.
#[derive(Debug)]
pub(super) enum DecodeError {
    /// Nobody here reads bodies of this type.
    Type(Failure),
    /// The text is none of its type, in the words of Go's decoders.
    Text(String),
}

impl DecodeError {
    /// The refusal where no kind was expected.
    pub(super) fn plain(self) -> Failure {
        match self {
            DecodeError::Type(failure) => failure,
            DecodeError::Text(why) => Failure::bad_request(why),
        }
    }

    /// The refusal of a body that should be an object of `kind`.
    pub(super) fn about(self, kind: &str, body: &[u8]) -> Failure {
        match self {
            DecodeError::Type(failure) => failure,
            DecodeError::Text(why) => Failure::bad_request(format!(
                "the object provided is unrecognized (must be of type {kind}): {why} ({})",
                summary(body)
            )),
        }
    }
}

/// Bytes of a body that are quoted.
const QUOTED: usize = 30;

/// The beginning of a body, as kube-apiserver quotes it.
pub(super) fn summary(body: &[u8]) -> String {
    let (shown, more) = match body.get(..QUOTED) {
        Some(shown) if body.len() > QUOTED => (shown, " ..."),
        _ => (body, ""),
    };
    match body.first() {
        None => "<empty>".to_owned(),
        Some(b'{') => format!("{}{more}", String::from_utf8_lossy(shown)),
        Some(_) => format!("{}{more}", hex::encode(shown)),
    }
}

/// Decodes an object by its content type, which is JSON when absent.
pub(super) fn object(content_type: &str, body: &[u8]) -> Result<Decoded, DecodeError> {
    match content_type {
        "" | "application/json" => whole(json::decode(body)),
        "application/yaml" => whole(yaml::decode(body)),
        protobuf::CONTENT_TYPE => match protobuf::decode(body) {
            Ok(value) => Ok(Decoded { value, duplicates: Vec::new() }),
            Err(ProtobufError::UnknownKind { .. }) => {
                Err(DecodeError::Type(Failure::unsupported_media_type(OBJECT_TYPES)))
            }
            Err(error) => Err(DecodeError::Text(error.to_string())),
        },
        _ => Err(DecodeError::Type(Failure::unsupported_media_type(OBJECT_TYPES))),
    }
}

/// Takes a document that is an object, or nothing.
fn whole(decoded: Result<Decoded, String>) -> Result<Decoded, DecodeError> {
    let why = match decoded {
        Ok(decoded) => {
            let found = match &decoded.value {
                Value::Object(_) | Value::Null => return Ok(decoded),
                Value::Array(_) => "array",
                Value::String(_) => "string",
                Value::Bool(_) => "bool",
                Value::Number(_) => "number",
            };
            format!(
                "json: cannot unmarshal {found} into Go value of type struct {{ APIVersion string \
                 \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" }}"
            )
        }
        Err(why) if why.starts_with("yaml: ") => return Err(DecodeError::Text(why)),
        Err(why) => why,
    };
    Err(DecodeError::Text(format!("couldn't get version/kind; json parse error: {why}")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn yaml_is_read_too() {
        let decoded = object("application/yaml", b"a:\n- b: 1\n  c: true\n").unwrap();
        assert_eq!(decoded.value, json!({"a": [{"b": 1, "c": true}]}));
        assert!(object("application/yaml", b"a: [").is_err());
        assert!(object("text/plain", b"{}").is_err());
        assert!(object("application/json", b"{} x").is_err());
    }

    proptest! {
        #![proptest_config(crate::properties::config())]

        #[test]
        fn bytes_never_panic(body in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = object("application/json", &body);
            let _ = object("application/yaml", &body);
        }
    }
}
