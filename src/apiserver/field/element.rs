//! One step of a field path: a name, an item's key, an item's value, or an index.

use std::{cmp::Ordering, fmt};

use serde_json::{Map, Number, Value};

use crate::apiserver::schema::{compare_numbers, quote};

/// A JSON scalar with an order and without the difference between `1` and `1.0`.
#[derive(Debug, Clone)]
pub(crate) enum Scalar {
    Number(Number),
    String(String),
    Bool(bool),
    Null,
}

impl Scalar {
    pub(crate) fn of(value: &Value) -> Option<Scalar> {
        match value {
            Value::Null => Some(Self::Null),
            Value::Bool(b) => Some(Self::Bool(*b)),
            Value::Number(n) => Some(Self::Number(n.clone())),
            Value::String(s) => Some(Self::String(s.clone())),
            Value::Array(_) | Value::Object(_) => None,
        }
    }

    fn to_value(&self) -> Value {
        match self {
            Self::Number(n) => Value::Number(n.clone()),
            Self::String(s) => Value::String(s.clone()),
            Self::Bool(b) => Value::Bool(*b),
            Self::Null => Value::Null,
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Number(_) => 0,
            Self::String(_) => 1,
            Self::Bool(_) => 2,
            Self::Null => 3,
        }
    }
}

impl Ord for Scalar {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => compare_numbers(a, b),
            (Self::String(a), Self::String(b)) => a.cmp(b),
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Scalar {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Scalar {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Scalar {}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::String(text) => f.write_str(&quote(text)),
            other => write!(f, "{}", other.to_value()),
        }
    }
}

/// One step of a field path, in the order of structured-merge-diff.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Element {
    /// `f:name`: a field of a struct or a key of a map.
    Field(String),
    /// `k:{"name":"x"}`: the item of a map list with these keys, sorted by name.
    Key(Vec<(String, Scalar)>),
    /// `v:"x"`: this item of a set.
    Value(Scalar),
    /// `i:0`: an item by its place. Nothing here makes such elements, but stored ones are kept.
    Index(usize),
}

impl Element {
    /// Parses the serialized form. None when it is malformed.
    pub(crate) fn parse(text: &str) -> Option<Element> {
        let (kind, rest) = text.split_once(':')?;
        match kind {
            "f" => Some(Self::Field(rest.to_owned())),
            "v" => Scalar::of(&serde_json::from_str(rest).ok()?).map(Self::Value),
            "i" => rest.parse().ok().map(Self::Index),
            "k" => {
                let fields: Map<String, Value> = serde_json::from_str(rest).ok()?;
                let keys = fields.iter().map(|(name, v)| Some((name.clone(), Scalar::of(v)?)));
                keys.collect::<Option<Vec<_>>>().map(Self::Key)
            }
            _ => None,
        }
    }

    /// The serialized form.
    pub(crate) fn serialize(&self) -> String {
        match self {
            Self::Field(name) => format!("f:{name}"),
            Self::Value(value) => format!("v:{}", value.to_value()),
            Self::Index(index) => format!("i:{index}"),
            Self::Key(keys) => {
                let fields: Map<String, Value> =
                    keys.iter().map(|(name, v)| (name.clone(), v.to_value())).collect();
                format!("k:{}", Value::Object(fields))
            }
        }
    }
}

/// As conflicts print it: `.name`, `[name="x"]`, `[="x"]`, `[0]`.
impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => write!(f, ".{name}"),
            Self::Value(value) => write!(f, "[={value}]"),
            Self::Index(index) => write!(f, "[{index}]"),
            Self::Key(keys) => {
                for (at, (name, value)) in keys.iter().enumerate() {
                    write!(f, "{}{name}={value}", if at == 0 { "[" } else { "," })?;
                }
                f.write_str("]")
            }
        }
    }
}
