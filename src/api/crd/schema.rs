//! Words for writing structural schemas down: OpenAPI v3 with Kubernetes' extensions.

use serde_json::{Map, Value, json};

/// A structural schema under construction.
#[derive(Clone, Debug)]
pub(super) struct Schema(Map<String, Value>);

impl Schema {
    fn typed(name: &str) -> Self {
        Self(Map::from_iter([("type".to_owned(), json!(name))]))
    }

    fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.0.insert(key.to_owned(), value.into());
        self
    }

    /// Says what the field means, for `kubectl explain` and the reference.
    pub(super) fn about(self, text: &str) -> Self {
        self.with("description", text)
    }

    /// Gives the value that stands in for an absent one.
    pub(super) fn default(self, value: impl Into<Value>) -> Self {
        self.with("default", value)
    }

    /// Allows these words only.
    pub(super) fn one_of<const N: usize>(self, words: [&str; N]) -> Self {
        self.with("enum", json!(words.as_slice()))
    }

    /// Demands that text matches an RE2 pattern.
    pub(super) fn pattern(self, pattern: &str) -> Self {
        self.with("pattern", pattern)
    }

    /// Names the format of a value, such as `byte`.
    pub(super) fn with_format(self, format: &str) -> Self {
        self.with("format", format)
    }

    /// Bounds the length of text in characters.
    pub(super) fn chars(self, least: u64, most: u64) -> Self {
        let bounded = if least > 0 { self.with("minLength", least) } else { self };
        bounded.with("maxLength", most)
    }

    /// Sets the lower bound of a number.
    pub(super) fn at_least(self, least: i64) -> Self {
        self.with("minimum", least)
    }

    /// Sets the upper bound of a number.
    pub(super) fn at_most(self, most: i64) -> Self {
        self.with("maximum", most)
    }

    /// Sets the least number of items of a list.
    pub(super) fn items_at_least(self, least: u64) -> Self {
        self.with("minItems", least)
    }

    /// Sets the greatest number of items of a list.
    pub(super) fn items_at_most(self, most: u64) -> Self {
        self.with("maxItems", most)
    }

    /// Names the fields that must be there.
    pub(super) fn require<const N: usize>(self, fields: [&str; N]) -> Self {
        self.with("required", json!(fields.as_slice()))
    }

    /// Adds a CEL rule with its literal message.
    pub(super) fn rule(mut self, rule: &str, message: &str) -> Self {
        let rules = self.0.entry("x-kubernetes-validations").or_insert_with(|| json!([]));
        if let Some(rules) = rules.as_array_mut() {
            rules.push(json!({"rule": rule, "message": message}));
        }
        self
    }

    /// Adds a transition rule: the value never changes while it is present.
    pub(super) fn immutable(self, message: &str) -> Self {
        self.rule("self == oldSelf", message)
    }

    /// Makes a list a map keyed by one field of its items.
    pub(super) fn keyed_by(self, key: &str) -> Self {
        self.with("x-kubernetes-list-type", "map").with("x-kubernetes-list-map-keys", json!([key]))
    }

    /// Makes a list replaceable only as a whole.
    pub(super) fn atomic_list(self) -> Self {
        self.with("x-kubernetes-list-type", "atomic")
    }

    /// Makes an object replaceable only as a whole.
    pub(super) fn atomic(self) -> Self {
        self.with("x-kubernetes-map-type", "atomic")
    }

    /// Keeps fields that the schema does not know.
    pub(super) fn open(self) -> Self {
        self.with("x-kubernetes-preserve-unknown-fields", true)
    }

    /// Adds fields to an object.
    pub(super) fn fields<const N: usize>(mut self, fields: [(&str, Schema); N]) -> Self {
        let held = self.0.entry("properties").or_insert_with(|| json!({}));
        if let Some(held) = held.as_object_mut() {
            held.extend(fields.into_iter().map(|(name, field)| (name.to_owned(), field.into())));
        }
        self
    }

    /// Removes a field from an object: versions differ in little.
    pub(super) fn without(mut self, field: &str) -> Self {
        if let Some(held) = self.0.get_mut("properties").and_then(Value::as_object_mut) {
            held.remove(field);
        }
        self
    }
}

impl From<Schema> for Value {
    fn from(schema: Schema) -> Self {
        Self::Object(schema.0)
    }
}

/// Text.
pub(super) fn text() -> Schema {
    Schema::typed("string")
}

/// A time of RFC 3339.
pub(super) fn time() -> Schema {
    text().with("format", "date-time")
}

/// Yes or no.
pub(super) fn boolean() -> Schema {
    Schema::typed("boolean")
}

/// A whole number of 32 bits.
pub(super) fn int32() -> Schema {
    Schema::typed("integer").with("format", "int32")
}

/// A whole number of 64 bits.
pub(super) fn int64() -> Schema {
    Schema::typed("integer").with("format", "int64")
}

/// A whole number of no stated size.
pub(super) fn integer() -> Schema {
    Schema::typed("integer")
}

/// A whole number or text.
pub(super) fn int_or_text() -> Schema {
    Schema(Map::new())
        .with("anyOf", json!([{"type": "integer"}, {"type": "string"}]))
        .with("x-kubernetes-int-or-string", true)
}

/// An amount in Kubernetes' notation, such as `250m`.
pub(super) fn quantity() -> Schema {
    int_or_text().pattern(
        r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$",
    )
}

/// An object of these fields.
pub(super) fn object<const N: usize>(fields: [(&str, Schema); N]) -> Schema {
    Schema::typed("object").fields(fields)
}

/// A list.
pub(super) fn list(item: Schema) -> Schema {
    Schema::typed("array").with("items", item)
}

/// An object of any keys.
pub(super) fn map(value: Schema) -> Schema {
    Schema::typed("object").with("additionalProperties", value)
}

/// An object whose fields nobody knows beforehand.
pub(super) fn open_object() -> Schema {
    Schema::typed("object").open()
}

/// Any value.
pub(super) fn anything() -> Schema {
    Schema(Map::new()).open()
}

/// A whole Kubernetes object.
pub(super) fn embedded_object() -> Schema {
    open_object().with("x-kubernetes-embedded-resource", true)
}

/// A kind's whole schema: `fields` beside `apiVersion`, `kind` and `metadata`.
pub(super) fn root<const N: usize>(fields: [(&str, Schema); N]) -> Schema {
    object([
        ("apiVersion", text().about("Group and version of this representation of the object.")),
        ("kind", text().about("Kind of the object.")),
        ("metadata", Schema::typed("object")),
    ])
    .fields(fields)
}
