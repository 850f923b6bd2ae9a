//! Proof, object by object, that a snapshot group holds a commit's content.

use std::{collections::BTreeMap, fmt};

use serde_json::Value;

use crate::{
    model::ObjectKey,
    placement::{canonical, exclude, prune, snapshot::Group},
};

/// The first thing in which a snapshot group differs from a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// Pieces of the group are missing.
    Incomplete {
        /// How many are there.
        found: usize,
    },
    /// The commit has the object, the group does not.
    Missing(ObjectKey),
    /// The group has the object, the commit does not.
    Extra(ObjectKey),
    /// Both have it, and a field that the commit sets differs.
    Field {
        /// The object.
        object: ObjectKey,
        /// The field (RFC 6901).
        pointer: String,
    },
    /// Both have it, and something that the commit does not set differs from the hub's present object.
    Stale(ObjectKey),
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Incomplete { found } => {
                write!(f, "the group is incomplete: only {found} of its objects are there")
            }
            Self::Missing(object) => {
                write!(f, "{object} of the commit is not in it: the placement does not select it")
            }
            Self::Extra(object) => write!(f, "{object} is in it, and not in the commit"),
            Self::Field { object, pointer } => {
                let field = pointer.trim_start_matches('/').replace('/', ".");
                write!(f, "{object} differs in {field}")
            }
            Self::Stale(object) => {
                write!(f, "{object} is in it as it was before it last changed on the hub")
            }
        }
    }
}

/// An object of the commit, as the commit wants it and as the hub has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Applied {
    /// Which.
    pub key: ObjectKey,
    /// As the commit has it.
    pub wanted: Value,
    /// As the hub answered when it was applied.
    pub stored: Value,
}

/// Returns the identity of an object.
pub fn key_of(object: &Value) -> ObjectKey {
    let text = |pointer: &str| {
        object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    ObjectKey {
        group: ObjectKey::group_of(&text("/apiVersion")).to_owned(),
        kind: text("/kind"),
        namespace: text("/metadata/namespace"),
        name: text("/metadata/name"),
    }
}

/// Proves that a group holds the content: every object is in it, equal to what the hub stored and in every field that
/// the commit sets, and nothing else is in it.
///
/// `implied` are objects that may be in it beside the commit's: the namespaces that contain the commit's objects.
///
/// # Errors
/// The first difference.
pub fn prove(group: &Group, content: &[Applied], implied: &[Value]) -> Result<(), Difference> {
    if !group.is_complete() {
        return Err(Difference::Incomplete { found: group.pieces.len() });
    }
    let mut held: BTreeMap<ObjectKey, &Value> =
        group.content().map(|object| (key_of(object), object)).collect();
    for object in content {
        if !exclude::placeable(&object.key.group, &object.key.kind) {
            continue;
        }
        let Some(found) = held.remove(&object.key) else {
            return Err(Difference::Missing(object.key.clone()));
        };
        if let Some(pointer) = differs(&prune(object.wanted.clone()), found) {
            return Err(Difference::Field { object: object.key.clone(), pointer });
        }
        if canonical::text(&prune(object.stored.clone())) != canonical::text(found) {
            return Err(Difference::Stale(object.key.clone()));
        }
    }
    for (key, found) in held {
        let same = |object: &&Value| key_of(object) == key;
        match implied.iter().find(same) {
            None => return Err(Difference::Extra(key)),
            Some(stored) if canonical::text(&prune(stored.clone())) != canonical::text(found) => {
                return Err(Difference::Stale(key));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// Returns the first field that `wanted` sets and `found` does not have so.
///
/// A hub fills in defaults, turns a Secret's `stringData` into `data`, and may write a quantity in another form; none
/// of that is a difference.
pub fn differs(wanted: &Value, found: &Value) -> Option<String> {
    let secret = wanted.get("kind").and_then(Value::as_str) == Some("Secret");
    fields(wanted, found, "", secret)
}

fn fields(wanted: &Value, found: &Value, at: &str, secret: bool) -> Option<String> {
    match (wanted, found) {
        (Value::Null, _) => None,
        (Value::Object(wanted), found) => {
            let nothing = serde_json::Map::new();
            let found = match found {
                Value::Object(found) => found,
                // An object without fields says nothing, and hubs drop it.
                Value::Null => &nothing,
                _ => return Some(at.to_owned()),
            };
            wanted.iter().find_map(|(name, value)| {
                if secret && at.is_empty() && name == "stringData" {
                    return None;
                }
                let at = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
                fields(value, found.get(name).unwrap_or(&Value::Null), &at, false)
            })
        }
        (Value::Array(wanted), Value::Array(found)) => {
            if wanted.len() == found.len() {
                let pairs = wanted.iter().zip(found).enumerate();
                let mut first = None;
                for (place, (wanted, found)) in pairs {
                    first = first.or(fields(wanted, found, &format!("{at}/{place}"), false));
                }
                first.as_ref()?;
                // The order of a list that is a map by its key is the hub's.
                let all =
                    wanted.iter().all(|w| found.iter().any(|f| fields(w, f, at, false).is_none()));
                let scalars = wanted.iter().all(|value| !value.is_object());
                return if all && !scalars { None } else { first };
            }
            let covered = |w: &Value| found.iter().any(|f| fields(w, f, at, false).is_none());
            let missing = wanted.iter().position(|w| !covered(w));
            missing.map(|place| format!("{at}/{place}"))
        }
        (Value::Array(wanted), Value::Null) if wanted.is_empty() => None,
        (Value::String(a), Value::String(b)) if a == b || same_quantity(a, b) => None,
        (Value::Number(a), Value::Number(b)) if a.as_f64() == b.as_f64() => None,
        (Value::Number(a), Value::String(b)) if same_quantity(&a.to_string(), b) => None,
        (a, b) if a == b => None,
        (Value::Bool(false), Value::Null) => None,
        (Value::String(text), Value::Null) if text.is_empty() => None,
        _ => Some(at.to_owned()),
    }
}

/// Returns whether two texts are the same Kubernetes quantity: `1000m` and `1`, `1Gi` and `1024Mi`.
fn same_quantity(a: &str, b: &str) -> bool {
    matches!((quantity(a), quantity(b)), (Some(a), Some(b)) if a == b)
}

/// Returns a quantity in thousandths.
fn quantity(text: &str) -> Option<i128> {
    let (number, unit) =
        text.split_at(text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len()));
    let scale: i128 = match unit {
        "m" => 1,
        "" => 1_000,
        "k" => 1_000_000,
        "M" => 1_000_000_000,
        "G" => 1_000_000_000_000,
        "T" => 1_000_000_000_000_000,
        "Ki" => 1_000 << 10,
        "Mi" => 1_000 << 20,
        "Gi" => 1_000 << 30,
        "Ti" => 1_000 << 40,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || whole.len() > 15 || fraction.len() > 9 {
        return None;
    }
    let digits = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let parse = |text: &str| if text.is_empty() { Some(0) } else { text.parse::<i128>().ok() };
    let value = (parse(whole)? * digits + parse(fraction)?) * scale;
    (value % digits == 0).then(|| value / digits)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_commit_sets_must_be_so_and_the_rest_may_be_filled_in() {
        let deployment = json!({"kind": "Deployment", "spec": {"replicas": 2, "template": {"spec": {"containers": [
            {"name": "a", "image": "x", "resources": {"limits": {"cpu": "1000m", "memory": "1Gi"}}}]}}}});
        let mut stored = deployment.clone();
        stored["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"] = "Always".into();
        stored["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["cpu"] =
            "1".into();
        stored["spec"]["strategy"] = json!({"type": "RollingUpdate"});
        assert_eq!(differs(&deployment, &stored), None);
        stored["spec"]["replicas"] = 3.into();
        assert_eq!(differs(&deployment, &stored).as_deref(), Some("/spec/replicas"));
    }

    #[test]
    fn table() {
        for (wanted, found, want) in [
            (json!({"a": null}), json!({}), None),
            (json!({"a": {}}), json!({}), None),
            (json!({"a": []}), json!({}), None),
            (json!({"a": 1}), json!({"a": 1.0}), None),
            (json!({"a": "x"}), json!({"a": "y"}), Some("/a")),
            (json!({"a": "x"}), json!({}), Some("/a")),
            (json!({"a": "1"}), json!({"a": "1000m"}), None),
            (json!({"a": "1.0.0"}), json!({"a": "1.0"}), Some("/a")),
            (json!({"a": ["x", "y"]}), json!({"a": ["y", "x"]}), Some("/a/0")),
            (json!({"a": ["x"]}), json!({"a": ["y", "x"]}), None),
            (json!({"a": [{"n": 1}, {"n": 2}]}), json!({"a": [{"n": 2}, {"n": 1}]}), None),
            (json!({"a": [{"n": 1}]}), json!({"a": [{"n": 2}]}), Some("/a/0/n")),
            (json!({"kind": "Secret", "stringData": {"p": "x"}}), json!({"kind": "Secret"}), None),
            (json!({"a": {"b/c": 1}}), json!({"a": {"b/c": 2}}), Some("/a/b~1c")),
        ] {
            assert_eq!(differs(&wanted, &found).as_deref(), want, "{wanted} {found}");
        }
    }

    #[test]
    fn quantities() {
        for (a, b, same) in [
            ("1", "1000m", true),
            ("0.5", "500m", true),
            ("1Gi", "1024Mi", true),
            ("1G", "1Gi", false),
            ("web", "web2", false),
            ("1", "01", true),
        ] {
            assert_eq!(same_quantity(a, b), same, "{a} {b}");
        }
    }
}
