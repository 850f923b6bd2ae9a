//! Requests for certificates: who asks, what may be asked for, and what of it may change.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{
    super::value::{list, number, object_at, set, text, texts},
    Context, format,
};
use crate::apiserver::{
    object,
    schema::{FieldError, FieldErrorKind},
};

/// The parts of a request that are written apart from the rest of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// The conditions, by who approves.
    Approval,
    /// The certificate, by who signs.
    Status,
}

const DECIDED: [&str; 2] = ["Approved", "Denied"];
const FINAL: [&str; 3] = ["Approved", "Denied", "Failed"];
const CONDITIONS: &str = "status.conditions";
const CERTIFICATE: &str = "status.certificate";

/// What a key may be used for, sorted.
const USAGES: [&str; 23] = [
    "any",
    "cert sign",
    "client auth",
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
    "decipher only",
    "digital signature",
    "email protection",
    "encipher only",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "key agreement",
    "key encipherment",
    "microsoft sgc",
    "netscape sgc",
    "ocsp signing",
    "s/mime",
    "server auth",
    "signing",
    "timestamping",
];

/// Says in a new request who asks, and dates the conditions of a changed one.
pub(super) fn prepare(object: &mut Value, old: Option<&Value>, context: &Context<'_>) {
    let Some(old) = old else {
        if let Some(spec) = object_at(object, "spec").and_then(Value::as_object_mut) {
            let user = context.user;
            spec.insert("username".to_owned(), user.name.as_str().into());
            spec.insert("uid".to_owned(), user.uid.as_str().into());
            spec.insert("groups".to_owned(), json!(user.groups));
            spec.insert("extra".to_owned(), json!(user.extra));
        }
        set(object, "status", json!({}));
        return;
    };
    let now = Value::from(object::time(context.now));
    let old = list(old, "/status/conditions").to_vec();
    let conditions = object.pointer_mut("/status/conditions").and_then(Value::as_array_mut);
    for condition in conditions.into_iter().flatten() {
        let is_set = |field: &str| condition.get(field).is_some_and(|time| !time.is_null());
        let (written, moved) = (is_set("lastUpdateTime"), is_set("lastTransitionTime"));
        if !written {
            set(condition, "lastUpdateTime", now.clone());
        }
        if !moved {
            let same = |old: &&Value| ["type", "status"].iter().all(|f| old[f] == condition[f]);
            let since = old.iter().find(same).map(|old| old["lastTransitionTime"].clone());
            let since = since.filter(|time| !time.is_null()).unwrap_or_else(|| now.clone());
            set(condition, "lastTransitionTime", since);
        }
    }
}

/// Makes `kept`, a request as it is stored, what a decision about it makes of it.
pub fn take_decision(kept: &mut Value, new: &Value, decision: Decision) {
    let given = new.get("status").cloned().unwrap_or_default();
    match decision {
        Decision::Status => {
            let had = list(kept, "/status/conditions").to_vec();
            set(kept, "status", given);
            keep_decided(kept, &had);
        }
        Decision::Approval => {
            let conditions = given.get("conditions").cloned().unwrap_or_default();
            if let Some(status) = object_at(kept, "status") {
                set(status, "conditions", conditions);
            }
        }
    }
}

/// Keeps what was decided as it was, unless decisions come or go, which is refused later.
fn keep_decided(object: &mut Value, had: &[Value]) {
    let conditions = object.pointer_mut("/status/conditions").and_then(Value::as_array_mut);
    let Some(conditions) = conditions else { return };
    for kind in DECIDED {
        let of_kind = |condition: &&Value| condition["type"] == kind;
        let had: Vec<&Value> = had.iter().filter(of_kind).collect();
        let given = conditions.iter_mut().filter(|condition| condition["type"] == kind);
        let given: Vec<&mut Value> = given.collect();
        if had.len() == given.len() {
            for (given, had) in given.into_iter().zip(had) {
                given.clone_from(had);
            }
        }
    }
}

/// Validates a new request, or a write of its main part.
pub(super) fn validate(new: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    request(new, errors);
    conditions(new, errors);
    if let Some(old) = old {
        changes(new, old, None, errors);
    }
}

/// Validates a decision about a request.
pub fn validate_decision(new: &Value, old: &Value, decision: Decision) -> Vec<FieldError> {
    let mut errors = Vec::new();
    request(new, &mut errors);
    conditions(new, &mut errors);
    changes(new, old, Some(decision), &mut errors);
    errors
}

fn request(object: &Value, errors: &mut Vec<FieldError>) {
    let pem = text(object, "/spec/request");
    if !is_request(pem) {
        let said = "PEM block type must be CERTIFICATE REQUEST";
        errors.push(FieldError::invalid("spec.request", &pem.into(), said));
    }
    let usages = texts(object, "/spec/usages");
    if usages.is_empty() {
        errors.push(FieldError::required("spec.usages", ""));
    }
    for (index, usage) in usages.iter().enumerate() {
        let path = format!("spec.usages[{index}]");
        let value = Value::from(usage.as_str());
        if !USAGES.contains(&usage.as_str()) {
            errors.push(FieldError::not_supported(&*path, &value, &USAGES.map(str::to_owned)));
        }
        if usages[..index].contains(usage) {
            errors.push(FieldError::with_value(path, FieldErrorKind::Duplicate, &value, ""));
        }
    }
    signer(text(object, "/spec/signerName"), errors);
    let certificate = STANDARD.decode(text(object, "/status/certificate")).unwrap_or_default();
    let begins = String::from_utf8_lossy(&certificate).contains("-----BEGIN CERTIFICATE-----");
    if !certificate.is_empty() && !begins {
        let said = "must contain at least one CERTIFICATE PEM block";
        errors.push(FieldError::invalid(CERTIFICATE, &"<certificate data>".into(), said));
    }
    if let Some(seconds) = number(object, "/spec/expirationSeconds").filter(|n| *n < 600) {
        let said = "may not specify a duration less than 600 seconds (10 minutes)";
        errors.push(FieldError::invalid("spec.expirationSeconds", &seconds.into(), said));
    }
}

/// Whether bytes are a request in PEM. Its signature is for the signer to check.
fn is_request(base64: &str) -> bool {
    let bytes = STANDARD.decode(base64).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let begin = "-----BEGIN CERTIFICATE REQUEST-----";
    let Some((before, rest)) = text.split_once(begin) else { return false };
    if before.contains("-----BEGIN ") {
        return false;
    }
    let Some((body, _)) = rest.split_once("-----END CERTIFICATE REQUEST-----") else {
        return false;
    };
    let body: String = body.split_whitespace().collect();
    // A request is a sequence in DER.
    STANDARD.decode(body).is_ok_and(|der| der.first() == Some(&0x30))
}

fn signer(name: &str, errors: &mut Vec<FieldError>) {
    const PATH: &str = "spec.signerName";
    let mut refuse = |value: &str, said: &str| {
        errors.push(FieldError::invalid(PATH, &value.into(), said));
    };
    if name == "kubernetes.io/legacy-unknown" {
        return refuse(name, "the legacy signerName is not allowed via this API version");
    }
    if name.is_empty() {
        errors.push(FieldError::required(PATH, ""));
        return;
    }
    let Some((domain, path)) = name.split_once('/').filter(|(_, path)| !path.contains('/')) else {
        let said =
            "must be a fully qualified domain and path of the form 'example.com/signer-name'";
        return refuse(name, said);
    };
    let mut labels = |part: &str, check: format::Check| {
        let faulty = part.split('.').find(|label| !check(label).is_empty());
        for fault in faulty.map(check).into_iter().flatten() {
            let label = faulty.unwrap_or_default();
            refuse(part, &format!("validating label \"{label}\": {fault}"));
        }
    };
    labels(domain, format::dns_label);
    labels(path, format::dns_subdomain);
    if !domain.contains('.') {
        refuse(domain, "should be a domain with at least two segments separated by dots");
    }
}

fn conditions(object: &Value, errors: &mut Vec<FieldError>) {
    let mut seen: Vec<&str> = Vec::new();
    for (index, condition) in list(object, "/status/conditions").iter().enumerate() {
        let (kind, status) = (text(condition, "/type"), text(condition, "/status"));
        let path = format!("{CONDITIONS}[{index}]");
        if kind.is_empty() {
            errors.push(FieldError::required(format!("{path}.type"), ""));
        }
        let allowed: &[&str] = match FINAL.contains(&kind) {
            true => &["True"],
            false => &["False", "True", "Unknown"],
        };
        if status.is_empty() {
            errors.push(FieldError::required(format!("{path}.status"), ""));
        } else if !allowed.contains(&status) {
            let allowed: Vec<String> = allowed.iter().map(|&known| known.to_owned()).collect();
            let path = format!("{path}.status");
            errors.push(FieldError::not_supported(path, &status.into(), &allowed));
        }
        if DECIDED.contains(&kind) && DECIDED.iter().any(|d| *d != kind && seen.contains(d)) {
            let said = "Approved and Denied conditions are mutually exclusive";
            errors.push(FieldError::invalid(CONDITIONS, &kind.into(), said));
        }
        if seen.contains(&kind) {
            let path = format!("{path}.type");
            errors.push(FieldError::with_value(path, FieldErrorKind::Duplicate, &kind.into(), ""));
        }
        seen.push(kind);
    }
}

/// What was decided stays, and only who decides adds to it; a certificate is given once, by who signs.
fn changes(new: &Value, old: &Value, decision: Option<Decision>, errors: &mut Vec<FieldError>) {
    let of_kind = |object: &Value, kind: &str| -> Vec<Value> {
        let all = list(object, "/status/conditions").iter();
        all.filter(|condition| condition["type"] == kind).cloned().collect()
    };
    for kind in FINAL {
        if of_kind(new, kind).len() < of_kind(old, kind).len() {
            let said = format!("updates may not remove a condition of type \"{kind}\"");
            errors.push(FieldError::forbidden(CONDITIONS, &said));
        }
    }
    if decision != Some(Decision::Approval) {
        for kind in DECIDED {
            let (had, given) = (of_kind(old, kind), of_kind(new, kind));
            if given.len() > had.len() {
                let said = format!("updates may not add a condition of type \"{kind}\"");
                errors.push(FieldError::forbidden(CONDITIONS, &said));
            }
        }
    }
    let (had, given) = (text(old, "/status/certificate"), text(new, "/status/certificate"));
    if had == given {
        return;
    }
    if decision != Some(Decision::Status) {
        let said = "updates may not set certificate content";
        errors.push(FieldError::forbidden(CERTIFICATE, said));
    } else if !had.is_empty() {
        let said = "updates may not modify existing certificate content";
        errors.push(FieldError::forbidden(CERTIFICATE, said));
    }
}
