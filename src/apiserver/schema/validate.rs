//! Validation against the schema, with the wording of kube-openapi's validator (the one behind every
//! CustomResourceDefinition).

use std::cmp::Ordering;

use serde_json::{Map, Number, Value};

use super::{
    FieldError, FieldErrorKind as Kind,
    error::quote,
    format::Format,
    identity,
    node::{Bound, Node, Types},
    number,
};

/// Everything wrong with the shape and values of `object`, without rules and without duplicates in lists. What did not
/// change since `old` is not looked at: its errors would be forgiven (KEP-4008).
pub(super) fn check(root: &Node, object: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut walk = Walk { path: String::new(), errors: Vec::new() };
    walk.node(root, object, old);
    walk.errors
}

struct Walk {
    path: String,
    errors: Vec<FieldError>,
}

impl Walk {
    fn node(&mut self, node: &Node, value: &Value, old: Option<&Value>) {
        if old.is_some_and(|old| old == value) {
            return;
        }
        self.type_of(node, value);
        if value.is_null() {
            self.allowed(node, value);
            return;
        }
        self.junctions(node, value, old);
        match value {
            Value::String(text) => self.string(node, text, value),
            Value::Number(n) => self.number(node, n, value),
            Value::Array(items) => self.array(node, items, old),
            _ => {}
        }
        self.allowed(node, value);
        if let Value::Object(map) = value {
            self.object(node, map, old);
        }
    }

    /// Runs `check` with `suffix` appended to the path.
    fn at(&mut self, suffix: &str, check: impl FnOnce(&mut Self)) {
        let length = self.path.len();
        self.path.push_str(suffix);
        check(self);
        self.path.truncate(length);
    }

    fn field(&mut self, key: &str, check: impl FnOnce(&mut Self)) {
        if self.path.is_empty() {
            self.at(key, check);
        } else {
            self.at(&format!(".{key}"), check);
        }
    }

    fn push(&mut self, kind: Kind, value: &Value, text: &str) {
        let path = if self.path.is_empty() { "<nil>" } else { &self.path };
        self.errors.push(FieldError::with_value(path, kind, value, text));
    }

    /// `PATH in body TEXT`, quoting `value`.
    fn complain(&mut self, kind: Kind, value: &Value, text: &str) {
        let text = format!("{} in body {text}", self.path);
        self.push(kind, value, &text);
    }

    /// An error that names its place only in its text.
    fn compose(&mut self, text: String) {
        self.errors.push(FieldError::invalid("<nil>", &Value::from(""), &text));
    }

    fn type_of(&mut self, node: &Node, value: &Value) {
        if node.types.is_empty() {
            return;
        }
        let (actual, name) = match value {
            Value::Null if node.nullable => return,
            Value::Null => (Types::default(), "null"),
            Value::Bool(_) => (Types::BOOLEAN, "boolean"),
            Value::String(_) => (Types::STRING, "string"),
            Value::Array(_) => (Types::ARRAY, "array"),
            Value::Object(_) => (Types::OBJECT, "object"),
            Value::Number(n) if node.types.has(Types::INTEGER) && number::whole(n).is_some() => {
                (Types::INTEGER, "integer")
            }
            Value::Number(n) if n.is_f64() => (Types::NUMBER, "number"),
            Value::Number(_) if node.types.has(Types::NUMBER) => (Types::NUMBER, "integer"),
            Value::Number(_) => (Types::INTEGER, "integer"),
        };
        if !node.types.has(actual) {
            if node.types == Types::INTEGER && actual == Types::NUMBER {
                let said = format!(
                    "Checked value must be of type integer (default format) in {}",
                    self.path
                );
                self.errors.push(FieldError::invalid("<nil>", &"".into(), &said));
            }
            let text = format!("must be of type {}: {}", node.types.names(), quote(name));
            self.complain(Kind::TypeInvalid, &Value::from(name), &text);
        }
    }

    fn string(&mut self, node: &Node, text: &str, value: &Value) {
        let checks = &node.checks;
        let length = || text.chars().count() as u64;
        if let Some(max) = checks.max_length.filter(|max| length() > *max) {
            let path = if self.path.is_empty() { "<nil>" } else { &self.path };
            self.errors.push(FieldError::too_long(path, max));
        } else if let Some(min) = checks.min_length.filter(|min| length() < *min) {
            self.complain(Kind::Invalid, value, &format!("should be at least {min} chars long"));
        } else if let Some(pattern) = checks.pattern.as_ref().filter(|p| !p.regex.is_match(text)) {
            self.complain(Kind::Invalid, value, &format!("should match '{}'", pattern.text));
        }
        if let Some(format) = checks.format.filter(|format| !format.accepts(text)) {
            let text = format!("must be of type {}: {}", format.name(), quote(text));
            self.complain(Kind::TypeInvalid, value, &text);
        }
    }

    fn number(&mut self, node: &Node, n: &Number, value: &Value) {
        let checks = &node.checks;
        if let Some(format) = checks.format.filter(|format| !format.accepts_number(n)) {
            let kind = if format == Format::Float { "number" } else { "integer" };
            self.compose(format!(
                "Checked value must be of type {kind} with format {} in {}",
                format.name(),
                self.path
            ));
        }
        if let Some(factor) = checks.multiple_of.as_ref().filter(|f| !number::is_multiple(n, f)) {
            let text = format!("should be a multiple of {}", number::print(factor));
            self.complain(Kind::Invalid, value, &text);
        }
        self.bound(checks.maximum.as_ref(), n, value, Ordering::Greater, "less");
        self.bound(checks.minimum.as_ref(), n, value, Ordering::Less, "greater");
    }

    fn bound(
        &mut self,
        bound: Option<&Bound>,
        n: &Number,
        value: &Value,
        beyond: Ordering,
        word: &str,
    ) {
        let Some(Bound { limit, exclusive }) = bound else { return };
        let order = number::compare(n, limit);
        if order == beyond || (*exclusive && order == Ordering::Equal) {
            let equal = if *exclusive { "" } else { " or equal to" };
            let text = format!("should be {word} than{equal} {}", number::print(limit));
            self.complain(Kind::Invalid, value, &text);
        }
    }

    fn allowed(&mut self, node: &Node, value: &Value) {
        let Some(allowed) = &node.checks.allowed else { return };
        // Also null has to be among them, nullable or not.
        if allowed.iter().any(|a| number::equal(a, value)) {
            return;
        }
        let supported: Vec<String> = allowed
            .iter()
            .map(|a| a.as_str().map_or_else(|| a.to_string(), str::to_owned))
            .collect();
        let path = if self.path.is_empty() { "<nil>" } else { &self.path };
        self.errors.push(FieldError::not_supported(path, value, &supported));
    }

    fn array(&mut self, node: &Node, items: &[Value], old: Option<&Value>) {
        if let Some(child) = &node.items {
            for (index, item) in items.iter().enumerate() {
                let old = identity::correlate(&node.list_type, item, old);
                self.at(&format!("[{index}]"), |walk| walk.node(child, item, old));
            }
        }
        let size = items.len() as u64;
        if let Some(min) = node.checks.min_items.filter(|min| size < *min) {
            let text = format!("should have at least {min} items");
            self.complain(Kind::Invalid, &Value::from(size), &text);
        }
        if let Some(max) = node.checks.max_items.filter(|max| size > *max) {
            self.too_many(size, max);
        }
    }

    fn object(&mut self, node: &Node, map: &Map<String, Value>, old: Option<&Value>) {
        let size = map.len() as u64;
        if let Some(min) = node.checks.min_properties.filter(|min| size < *min) {
            let text = format!("should have at least {min} properties");
            self.complain(Kind::Invalid, &Value::from(size), &text);
        }
        if let Some(max) = node.checks.max_properties.filter(|max| size > *max) {
            self.too_many(size, max);
        }
        for (key, value) in map {
            if let Some(child) = node.child(key) {
                let old = old.and_then(|old| old.get(key));
                self.field(key, |walk| walk.node(child, value, old));
            }
        }
        for key in &node.checks.required {
            if !map.contains_key(key) {
                self.field(key, |walk| {
                    walk.errors.push(FieldError::required(walk.path.as_str(), ""));
                });
            }
        }
    }

    fn too_many(&mut self, size: u64, max: u64) {
        let items = if max == 1 { "item" } else { "items" };
        self.push(Kind::TooMany, &Value::from(size), &format!("must have at most {max} {items}"));
    }

    /// `anyOf`, `oneOf`, `allOf` and `not`.
    fn junctions(&mut self, node: &Node, value: &Value, old: Option<&Value>) {
        let checks = &node.checks;
        if checks.any_of.is_empty()
            && checks.one_of.is_empty()
            && checks.all_of.is_empty()
            && checks.not.is_none()
        {
            return;
        }
        let place = quote(&self.path);
        if !checks.any_of.is_empty() {
            let (_, best) = self.try_each(&checks.any_of, value);
            if let Some(best) = best {
                self.compose(format!("{place} must validate at least one schema (anyOf)"));
                self.errors.extend(best);
            }
        }
        if !checks.one_of.is_empty() {
            let (valid, best) = self.try_each(&checks.one_of, value);
            if valid != 1 {
                let found = if valid == 0 {
                    "Found none valid".to_owned()
                } else {
                    format!("Found {valid} valid alternatives")
                };
                self.compose(format!(
                    "{place} must validate one and only one schema (oneOf). {found}"
                ));
                self.errors.extend(best.unwrap_or_default());
            }
        }
        let before = self.errors.len();
        let mut valid = 0;
        for one in &checks.all_of {
            let errors = self.try_one(one, value, old);
            valid += usize::from(errors.is_empty());
            self.errors.extend(errors);
        }
        if self.errors.len() > before {
            let none = if valid == 0 { ". None validated" } else { "" };
            self.compose(format!("{place} must validate all the schemas (allOf){none}"));
        }
        if let Some(not) = &checks.not
            && self.try_one(not, value, None).is_empty()
        {
            self.compose(format!("{place} must not validate the schema (not)"));
        }
    }

    fn try_one(&self, node: &Node, value: &Value, old: Option<&Value>) -> Vec<FieldError> {
        let mut walk = Walk { path: self.path.clone(), errors: Vec::new() };
        walk.node(node, value, old);
        walk.errors
    }

    /// How many of the alternatives hold, and the fewest errors when none does. Without the old value, because an
    /// alternative must not hold just because nothing changed in what it forbids.
    fn try_each(&self, alternatives: &[Node], value: &Value) -> (usize, Option<Vec<FieldError>>) {
        let tried: Vec<_> = alternatives.iter().map(|a| self.try_one(a, value, None)).collect();
        let valid = tried.iter().filter(|errors| errors.is_empty()).count();
        let best = if valid == 0 { tried.into_iter().min_by_key(Vec::len) } else { None };
        (valid, best)
    }
}
