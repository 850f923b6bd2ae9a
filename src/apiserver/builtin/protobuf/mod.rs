//! Request bodies in Kubernetes' protobuf encoding, which typed clients and `kubectl create KIND` send.
//!
//! A body is the magic `k8s\0` and an envelope (`runtime.Unknown`) that names the kind and holds its message. Messages
//! are read by the field numbers of the built-in types; there is no generated code.

mod message;
mod wire;

use serde_json::Value;

use super::types::{self, TYPES};

/// The `Content-Type` of such bodies.
pub const CONTENT_TYPE: &str = "application/vnd.kubernetes.protobuf";

const MAGIC: &[u8] = b"k8s\0";

/// Why a body could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProtobufError {
    /// The body does not start with `k8s\0`.
    #[error("provided data does not appear to be a protobuf message, expected prefix 0x6b387300")]
    NoEnvelope,
    /// The bytes are no protobuf message of the kind.
    #[error("protobuf: {0}")]
    Malformed(&'static str),
    /// There is no field table for the kind.
    #[error("no kind {kind:?} is registered for version {api_version:?} in protobuf form")]
    UnknownKind {
        /// Its apiVersion.
        api_version: String,
        /// Its kind.
        kind: String,
    },
}

/// Reads a body into the JSON form of its object, with `apiVersion` and `kind`. Empty values that Go leaves out of JSON
/// are left out.
///
/// # Errors
/// [`ProtobufError`]; the first two are a bad request, the last an unsupported media type.
pub fn decode(body: &[u8]) -> Result<Value, ProtobufError> {
    let envelope = body.strip_prefix(MAGIC).ok_or(ProtobufError::NoEnvelope)?;
    let (mut api_version, mut kind, mut raw) = (String::new(), String::new(), &[][..]);
    for field in wire::fields(envelope) {
        match field? {
            (1, wire::Data::Bytes(type_meta)) => {
                for field in wire::fields(type_meta) {
                    match field? {
                        (1, data) => api_version = data.text()?,
                        (2, data) => kind = data.text()?,
                        _ => {}
                    }
                }
            }
            (2, wire::Data::Bytes(message)) => raw = message,
            (3, wire::Data::Bytes(encoding)) if !encoding.is_empty() => {
                return Err(ProtobufError::Malformed("an encoded envelope is not supported"));
            }
            _ => {}
        }
    }
    let id = match (api_version.split_once('/'), kind.as_str()) {
        // Every group has the options of deletion as a kind of its own.
        (_, "DeleteOptions") => TYPES.named("meta/v1", "DeleteOptions"),
        (Some((group, version)), kind) => TYPES.kind(group, version, kind),
        (None, kind) => TYPES.kind("", &api_version, kind),
    };
    let Some(id) = id else { return Err(ProtobufError::UnknownKind { api_version, kind }) };
    let mut fields = message::read(TYPES.get(id), raw, 0)?;
    fields.insert("apiVersion".to_owned(), api_version.into());
    fields.insert("kind".to_owned(), kind.into());
    let mut object = Value::Object(fields);
    types::normalize(id, &mut object);
    Ok(object)
}

#[cfg(test)]
mod tests;
