//! ConfigMaps and Secrets.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};

use super::{
    super::value::{entries, fill, flag, object_at, text},
    format::{self, all},
};
use crate::apiserver::schema::FieldError;

/// How much a ConfigMap or Secret may hold, in bytes.
const MAX_SIZE: usize = 1024 * 1024;

/// Folds `stringData`, which is never stored, into `data`, and gives the secret a type.
pub(super) fn prepare_secret(secret: &mut Value) {
    fill(secret, "type", "Opaque");
    let Some(Value::Object(texts)) = secret.as_object_mut().and_then(|s| s.remove("stringData"))
    else {
        return;
    };
    if texts.is_empty() {
        return;
    }
    if let Some(data) = object_at(secret, "data").and_then(Value::as_object_mut) {
        for (key, value) in texts {
            let text = value.as_str().unwrap_or_default();
            data.insert(key, STANDARD.encode(text).into());
        }
    }
}

/// Validates a ConfigMap.
pub(super) fn validate_config_map(new: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    immutable(new, old, &["data", "binaryData"], errors);
    let mut size = 0;
    for (key, value) in entries(new, "/data") {
        let path = format!("data[{key}]");
        all(format::config_key(key), &path, key, errors);
        if new.get("binaryData").is_some_and(|b| b.get(key).is_some()) {
            let said = "duplicate of key present in binaryData";
            errors.push(FieldError::invalid(path, &key.as_str().into(), said));
        }
        size += value.as_str().map_or(0, str::len);
    }
    for (key, value) in entries(new, "/binaryData") {
        all(format::config_key(key), &format!("binaryData[{key}]"), key, errors);
        size += decoded_size(value);
    }
    if size > MAX_SIZE {
        errors.push(FieldError::too_long("", MAX_SIZE as u64));
    }
}

/// Validates a Secret.
pub(super) fn validate_secret(new: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    if let Some(old) = old
        && text(old, "/type") != text(new, "/type")
    {
        errors.push(FieldError::invalid("type", &text(new, "/type").into(), "field is immutable"));
    }
    immutable(new, old, &["data"], errors);
    let mut size = 0;
    for (key, value) in entries(new, "/data") {
        all(format::config_key(key), &format!("data[{key}]"), key, errors);
        size += decoded_size(value);
    }
    if size > MAX_SIZE {
        errors.push(FieldError::too_long("data", MAX_SIZE as u64));
    }
    let empty = Map::new();
    let data = new.get("data").and_then(Value::as_object).unwrap_or(&empty);
    let need = |key: &str| {
        if !data.contains_key(key) {
            errors.push(FieldError::required(format!("data[{key}]"), ""));
        }
    };
    match text(new, "/type") {
        "kubernetes.io/service-account-token" => {
            const ACCOUNT: &str = "kubernetes.io/service-account.name";
            let account = new.pointer("/metadata/annotations").and_then(|a| a.get(ACCOUNT));
            if account.and_then(Value::as_str).unwrap_or_default().is_empty() {
                let path = format!("metadata.annotations[{ACCOUNT}]");
                errors.push(FieldError::required(path, ""));
            }
        }
        "kubernetes.io/tls" => ["tls.crt", "tls.key"].into_iter().for_each(need),
        "kubernetes.io/basic-auth" => {
            let either = ["username", "password"];
            if !either.iter().any(|key| data.contains_key(*key)) {
                either.into_iter().for_each(need);
            }
        }
        "kubernetes.io/ssh-auth" if data.get("ssh-privatekey").is_none_or(|key| key == "") => {
            errors.push(FieldError::required("data[ssh-privatekey]", ""));
        }
        "kubernetes.io/dockercfg" => registry_login(data, ".dockercfg", errors),
        "kubernetes.io/dockerconfigjson" => registry_login(data, ".dockerconfigjson", errors),
        _ => {}
    }
}

/// A registry login is a JSON object under a given key.
fn registry_login(data: &Map<String, Value>, key: &str, errors: &mut Vec<FieldError>) {
    let path = format!("data[{key}]");
    let Some(value) = data.get(key) else {
        errors.push(FieldError::required(path, ""));
        return;
    };
    let bytes = STANDARD.decode(value.as_str().unwrap_or_default()).unwrap_or_default();
    if let Err(error) = serde_json::from_slice::<Map<String, Value>>(&bytes) {
        let hidden = "<secret contents redacted>".into();
        errors.push(FieldError::invalid(path, &hidden, &error.to_string()));
    }
}

/// What was made immutable stays as it is.
fn immutable(new: &Value, old: Option<&Value>, fields: &[&str], errors: &mut Vec<FieldError>) {
    let Some(old) = old.filter(|old| flag(old, "/immutable")) else { return };
    let said = "field is immutable when `immutable` is set";
    if !flag(new, "/immutable") {
        errors.push(FieldError::forbidden("immutable", said));
    }
    for field in fields {
        if old.get(field) != new.get(field) {
            errors.push(FieldError::forbidden(*field, said));
        }
    }
}

fn decoded_size(value: &Value) -> usize {
    let text = value.as_str().unwrap_or_default();
    let padding = text.bytes().rev().take_while(|b| *b == b'=').count();
    (text.len() / 4 * 3).saturating_sub(padding)
}
