//! Columns of webhooks and policies of admission.

use serde_json::Value;

use super::{
    super::value::{list, text},
    Column, selector_text,
    shared::{age, text as words, whole},
};

/// The columns of a kind of `admissionregistration.k8s.io`, after its name.
pub(super) fn columns(kind: &str) -> Vec<Column> {
    match kind {
        "ValidatingWebhookConfiguration" | "MutatingWebhookConfiguration" => vec![
            whole("Webhooks", "Number of webhooks.", |o, _| list(o, "/webhooks").len().into()),
            age(),
        ],
        "ValidatingAdmissionPolicy" => vec![
            whole("Validations", "Number of rules.", |o, _| {
                list(o, "/spec/validations").len().into()
            }),
            parameters(),
            age(),
        ],
        "MutatingAdmissionPolicy" => vec![
            whole("Mutations", "Number of changes.", |o, _| {
                list(o, "/spec/mutations").len().into()
            }),
            parameters(),
            age(),
        ],
        _ => vec![
            words("PolicyName", "The policy.", |o, _| text(o, "/spec/policyName").into()),
            words("ParamRef", "The parameters.", |o, _| parameter(o).into()),
            age(),
        ],
    }
}

fn parameters() -> Column {
    words("ParamKind", "Kind of the parameters.", |o, _| match o.pointer("/spec/paramKind") {
        Some(of) if of.is_object() => {
            format!("{}/{}", text(of, "/apiVersion"), text(of, "/kind")).into()
        }
        _ => "<unset>".into(),
    })
}

fn parameter(binding: &Value) -> String {
    let Some(of) = binding.pointer("/spec/paramRef").filter(|of| of.is_object()) else {
        return "<unset>".to_owned();
    };
    match (text(of, "/namespace"), text(of, "/name")) {
        (_, "") if of.get("selector").is_some_and(Value::is_object) => {
            selector_text::selector(of.get("selector"))
        }
        (_, "") => "<unset>".to_owned(),
        ("", name) => format!("*/{name}"),
        (namespace, name) => format!("{namespace}/{name}"),
    }
}
