//! Request bodies in Kubernetes' protobuf encoding, which typed clients and `kubectl create KIND` send.

use serde_json::Value;

/// The `Content-Type` of such bodies.
pub const CONTENT_TYPE: &str = "application/vnd.kubernetes.protobuf";

/// Why a body could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProtobufError {
    /// The body does not start with `k8s\0`.
    #[error("provided data does not appear to be a protobuf message, expected prefix 0x6b387300")]
    NoEnvelope,
    /// The bytes are no protobuf message of the kind.
    #[error("protobuf: {0}")]
    Malformed(String),
    /// There is no field table for the kind.
    #[error("object {api_version}, kind {kind} is not known in protobuf form")]
    UnknownKind {
        /// Its apiVersion.
        api_version: String,
        /// Its kind.
        kind: String,
    },
}

/// Reads a body into the JSON form of its object, with `apiVersion` and `kind`.
///
/// # Errors
/// [`ProtobufError`]; the first two are a bad request, the last an unsupported media type.
pub fn decode(_body: &[u8]) -> Result<Value, ProtobufError> {
    Err(ProtobufError::NoEnvelope)
}
