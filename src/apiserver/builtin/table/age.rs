//! The column AGE.

use jiff::Timestamp;
use serde_json::Value;

use crate::model::human_age;

/// The age since an RFC 3339 text: `<unknown>` when there is none, `<invalid>` when it is no time.
pub(super) fn age_of(time: Option<&Value>, now: Timestamp) -> String {
    match time {
        None | Some(Value::Null) => "<unknown>".to_owned(),
        Some(value) => match value.as_str().map(str::parse::<Timestamp>) {
            Some(Ok(then)) => human_age(then, now),
            _ => "<invalid>".to_owned(),
        },
    }
}
