//! Cells of core/v1 Events (`events.k8s.io/v1` has the same columns over other field names).

use jiff::Timestamp;
use serde_json::Value;

use super::age::age_of;

/// The first of `paths` that holds a value, as the two event kinds name things differently.
fn any_of<'v>(event: &'v Value, paths: &[&str]) -> Option<&'v Value> {
    paths.iter().find_map(|path| event.pointer(path).filter(|v| !v.is_null()))
}

fn text<'v>(event: &'v Value, paths: &[&str]) -> &'v str {
    let found = paths
        .iter()
        .find_map(|path| event.pointer(path).and_then(Value::as_str).filter(|t| !t.is_empty()));
    found.unwrap_or_default()
}

/// Since the event was first seen.
pub(super) fn first_seen(event: &Value, now: Timestamp) -> Value {
    age_of(any_of(event, &["/firstTimestamp", "/deprecatedFirstTimestamp", "/eventTime"]), now)
        .into()
}

/// Since the event was last seen.
pub(super) fn last_seen(event: &Value, now: Timestamp) -> Value {
    let last = [
        "/series/lastObservedTime",
        "/lastTimestamp",
        "/deprecatedLastTimestamp",
        "/firstTimestamp",
        "/deprecatedFirstTimestamp",
        "/eventTime",
    ];
    age_of(any_of(event, &last), now).into()
}

/// `kind/name` of what the event is about.
pub(super) fn object(event: &Value, _: Timestamp) -> Value {
    let kind = text(event, &["/involvedObject/kind", "/regarding/kind"]).to_lowercase();
    match text(event, &["/involvedObject/name", "/regarding/name"]) {
        "" => kind.into(),
        name => format!("{kind}/{name}").into(),
    }
}

/// Which part of the object.
pub(super) fn sub_object(event: &Value, _: Timestamp) -> Value {
    text(event, &["/involvedObject/fieldPath", "/regarding/fieldPath"]).into()
}

/// Who reported it, and from where.
pub(super) fn source(event: &Value, _: Timestamp) -> Value {
    let component = text(
        event,
        &[
            "/source/component",
            "/deprecatedSource/component",
            "/reportingComponent",
            "/reportingController",
        ],
    );
    let host = text(event, &["/source/host", "/deprecatedSource/host", "/reportingInstance"]);
    if host.is_empty() { component.into() } else { format!("{component}, {host}").into() }
}

/// What happened, without white space around it.
pub(super) fn message(event: &Value, _: Timestamp) -> Value {
    text(event, &["/message", "/note"]).trim().into()
}

/// `Normal` or `Warning`.
pub(super) fn event_type(event: &Value, _: Timestamp) -> Value {
    text(event, &["/type"]).into()
}

/// Why.
pub(super) fn reason(event: &Value, _: Timestamp) -> Value {
    text(event, &["/reason"]).into()
}

/// How often; events of the newer API without a series happened once.
pub(super) fn count(event: &Value, _: Timestamp) -> Value {
    let counted = any_of(event, &["/series/count", "/count", "/deprecatedCount"]);
    counted.and_then(Value::as_i64).filter(|n| *n != 0).unwrap_or(1).into()
}
