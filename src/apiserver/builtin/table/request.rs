//! Columns of what asks for something: certificates and devices.

use jiff::Timestamp;
use serde_json::Value;

use super::{
    super::value::{absent, list, number, text},
    Column,
    shared::{age, text as words},
};
use crate::model::human_age;

/// The columns of CertificateSigningRequests.
pub(super) fn certificate() -> Vec<Column> {
    vec![
        age(),
        words("SignerName", "Who is asked to sign.", |o, _| match text(o, "/spec/signerName") {
            "" => "<none>".into(),
            name => name.into(),
        }),
        words("Requestor", "Who asked.", |o, _| text(o, "/spec/username").into()),
        words(
            "RequestedDuration",
            "How long the certificate should be good.",
            |o, _| match number(o, "/spec/expirationSeconds") {
                None => "<none>".into(),
                Some(seconds) => {
                    let end = Timestamp::new(seconds, 0).unwrap_or_default();
                    human_age(Timestamp::default(), end).into()
                }
            },
        ),
        words("Condition", "What was decided.", |o, _| decided(o).into()),
    ]
}

fn decided(request: &Value) -> String {
    let has = |kind: &str| {
        list(request, "/status/conditions").iter().any(|condition| condition["type"] == kind)
    };
    let mut said = match (has("Denied"), has("Approved")) {
        (true, _) => "Denied",
        (_, true) => "Approved",
        _ => "Pending",
    }
    .to_owned();
    if has("Failed") {
        said.push_str(",Failed");
    }
    if !text(request, "/status/certificate").is_empty() {
        said.push_str(",Issued");
    }
    said
}

/// The columns of a kind of `resource.k8s.io`.
pub(super) fn device(kind: &str) -> Vec<Column> {
    match kind {
        "ResourceClaim" => vec![words("State", "How far the claim is.", state), age()],
        "ResourceSlice" => vec![
            words("Node", "The node that has the devices.", |o, _| {
                text(o, "/spec/nodeName").into()
            }),
            words("Driver", "The driver.", |o, _| text(o, "/spec/driver").into()),
            words("Pool", "The pool that the devices belong to.", |o, _| {
                text(o, "/spec/pool/name").into()
            }),
            age(),
        ],
        _ => vec![age()],
    }
}

fn state(claim: &Value, _: Timestamp) -> Value {
    let deleted = !absent(claim, "/metadata/deletionTimestamp");
    let mut states = Vec::new();
    if deleted {
        states.push("deleted");
    }
    if absent(claim, "/status/allocation") {
        if !deleted {
            states.push("pending");
        }
    } else {
        states.push("allocated");
        if !list(claim, "/status/reservedFor").is_empty() {
            states.push("reserved");
        }
    }
    states.join(",").into()
}
