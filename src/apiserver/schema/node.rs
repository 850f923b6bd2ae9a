//! One node of a compiled schema: what a value at one place may be.

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::{Number, Value};

use super::{cel::Rule, format::Format};

/// The JSON types a node accepts, as a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Types(u8);

impl Types {
    pub(crate) const STRING: Types = Types(1);
    pub(crate) const INTEGER: Types = Types(2);
    pub(crate) const NUMBER: Types = Types(4);
    pub(crate) const BOOLEAN: Types = Types(8);
    pub(crate) const OBJECT: Types = Types(16);
    pub(crate) const ARRAY: Types = Types(32);
    pub(crate) const INT_OR_STRING: Types = Types(1 | 2);
    /// In the order in which messages list them.
    const NAMES: [(Types, &'static str); 6] = [
        (Types::INTEGER, "integer"),
        (Types::STRING, "string"),
        (Types::NUMBER, "number"),
        (Types::BOOLEAN, "boolean"),
        (Types::OBJECT, "object"),
        (Types::ARRAY, "array"),
    ];

    pub(crate) fn named(name: &str) -> Option<Types> {
        Self::NAMES.iter().find(|(_, n)| *n == name).map(|(t, _)| *t)
    }

    pub(crate) fn has(self, other: Types) -> bool {
        self.0 & other.0 != 0
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// `integer,string`.
    pub(crate) fn names(self) -> String {
        let names: Vec<_> =
            Self::NAMES.iter().filter(|(t, _)| self.has(*t)).map(|(_, n)| *n).collect();
        names.join(",")
    }
}

/// What may stand under keys that `properties` does not name.
#[derive(Debug, Clone)]
pub(crate) enum Additional {
    /// `additionalProperties: true`: anything, but nothing below it is known.
    Anything,
    /// `additionalProperties: {…}`.
    Node(Box<Node>),
}

/// How the items of a list are told apart (`x-kubernetes-list-type`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum ListType {
    /// One owner, replaced as a whole.
    #[default]
    Atomic,
    /// Scalars without duplicates.
    Set,
    /// Objects told apart by these fields.
    Map(Vec<String>),
}

/// How strategic merge patch treats a field (`x-kubernetes-patch-strategy`, `x-kubernetes-patch-merge-key`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct PatchHints {
    pub(crate) merge: bool,
    pub(crate) replace: bool,
    pub(crate) retain_keys: bool,
    pub(crate) merge_key: Option<String>,
}

/// A bound on a number.
#[derive(Debug, Clone)]
pub(crate) struct Bound {
    pub(crate) limit: Number,
    pub(crate) exclusive: bool,
}

/// A regular expression with its text as written.
#[derive(Debug, Clone)]
pub(crate) struct Pattern {
    pub(crate) text: String,
    pub(crate) regex: Regex,
}

/// Value validations: everything that has no part in the structure.
#[derive(Debug, Clone, Default)]
pub(crate) struct Checks {
    pub(crate) allowed: Option<Vec<Value>>,
    pub(crate) pattern: Option<Pattern>,
    pub(crate) format: Option<Format>,
    pub(crate) max_length: Option<u64>,
    pub(crate) min_length: Option<u64>,
    pub(crate) max_items: Option<u64>,
    pub(crate) min_items: Option<u64>,
    pub(crate) max_properties: Option<u64>,
    pub(crate) min_properties: Option<u64>,
    pub(crate) maximum: Option<Bound>,
    pub(crate) minimum: Option<Bound>,
    pub(crate) multiple_of: Option<Number>,
    pub(crate) required: Vec<String>,
    pub(crate) all_of: Vec<Node>,
    pub(crate) any_of: Vec<Node>,
    pub(crate) one_of: Vec<Node>,
    pub(crate) not: Option<Box<Node>>,
}

/// What a value at one place may be.
#[derive(Debug, Clone, Default)]
pub(crate) struct Node {
    pub(crate) types: Types,
    pub(crate) nullable: bool,
    pub(crate) int_or_string: bool,
    pub(crate) preserve_unknown: bool,
    /// A whole object with `apiVersion`, `kind` and `metadata`; also set at the root.
    pub(crate) embedded: bool,
    pub(crate) properties: BTreeMap<String, Node>,
    pub(crate) additional: Option<Additional>,
    pub(crate) items: Option<Box<Node>>,
    pub(crate) default: Option<Value>,
    pub(crate) checks: Checks,
    pub(crate) list_type: ListType,
    /// `x-kubernetes-map-type: atomic`.
    pub(crate) map_atomic: bool,
    pub(crate) patch: PatchHints,
    pub(crate) rules: Vec<Rule>,
    /// This node or one below it has rules, so that evaluation can skip what has none.
    pub(crate) rules_within: bool,
    /// Likewise for rules that read `oldSelf`.
    pub(crate) transitions_within: bool,
    /// Likewise for lists whose items must differ. What `metadata` has of those does not count: nobody checks it.
    pub(crate) distinct_within: bool,
    /// Likewise for defaults.
    pub(crate) defaults_within: bool,
}

impl Node {
    /// The node of one key of an object: its property, or what all other keys are.
    pub(crate) fn child(&self, key: &str) -> Option<&Node> {
        match (self.properties.get(key), &self.additional) {
            (Some(node), _) => Some(node),
            (None, Some(Additional::Node(node))) => Some(node),
            (None, _) => None,
        }
    }

    /// What other keys than those of `properties` are, when that has a schema.
    pub(crate) fn additional_node(&self) -> Option<&Node> {
        match &self.additional {
            Some(Additional::Node(node)) => Some(node),
            _ => None,
        }
    }

    /// The nodes below that values can be at: not those of `allOf` and its like.
    pub(crate) fn children(&self) -> impl Iterator<Item = &Node> {
        self.properties.values().chain(self.additional_node()).chain(self.items.as_deref())
    }

    /// The type name that CEL errors quote.
    pub(crate) fn type_name(&self) -> String {
        if self.int_or_string { String::new() } else { self.types.names() }
    }
}
