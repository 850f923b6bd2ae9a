//! Field sets of values: what is in one, what differs between two, what is left without some.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{
    element::Element,
    set::Set,
    shape::{Shape, item_element, shape},
};
use crate::apiserver::schema::Node;

/// The node below `element`.
fn child<'n>(node: Option<&'n Node>, element: &Element) -> Option<&'n Node> {
    match element {
        Element::Field(name) => node.and_then(|n| n.child(name)),
        _ => node.and_then(|n| n.items.as_deref()),
    }
}

/// The items of a list by their elements; duplicates stay together. None when an item cannot be told apart, and then
/// the list is one thing.
fn by_element<'v>(list: &Node, items: &'v [Value]) -> Option<BTreeMap<Element, Vec<&'v Value>>> {
    let mut out: BTreeMap<Element, Vec<&Value>> = BTreeMap::new();
    for item in items {
        out.entry(item_element(list, item).ok()?).or_default().push(item);
    }
    Some(out)
}

/// Every leaf and item in `value`.
pub(crate) fn set_of(node: Option<&Node>, value: &Value) -> Set {
    parts(node, value).unwrap_or_default()
}

/// Every leaf and item in a container. None when `value` is a leaf itself.
fn parts(node: Option<&Node>, value: &Value) -> Option<Set> {
    match shape(node, value) {
        Shape::Leaf => None,
        Shape::Map(map) => Some(Set::from_entries(map.iter().map(|(key, below)| {
            let parts = parts(node.and_then(|n| n.child(key)), below);
            let is_declared = node.is_some_and(|n| n.properties.contains_key(key));
            // Upstream owns empty maps, but not empty lists.
            let is_empty = below.as_object().is_some_and(Map::is_empty);
            let member = parts.is_none() || is_empty || !is_declared;
            (Element::Field(key.clone()), member, parts.unwrap_or_default())
        }))),
        Shape::List(items, list) => {
            let items = by_element(list, items)?;
            Some(Set::from_entries(items.into_iter().map(|(element, items)| {
                // Duplicates are owned as one thing.
                let below = match items.as_slice() {
                    [item] => set_of(list.items.as_deref(), item),
                    _ => Set::default(),
                };
                (element, true, below)
            })))
        }
    }
}

/// What differs between two values.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Comparison {
    pub(crate) added: Set,
    pub(crate) modified: Set,
    pub(crate) removed: Set,
}

impl Comparison {
    /// Compares an old with a new value.
    pub(crate) fn of(node: Option<&Node>, old: &Value, new: &Value) -> Comparison {
        let mut walk = Compare { path: Vec::new(), out: Comparison::default() };
        walk.values(node, Some(old), Some(new));
        walk.out
    }

    /// Added or modified.
    pub(crate) fn changed(&self) -> Set {
        self.added.union(&self.modified)
    }

    /// Keeps what `keep` wants of each set.
    pub(crate) fn filter(self, keep: impl Fn(&Set) -> Set) -> Comparison {
        Comparison {
            added: keep(&self.added),
            modified: keep(&self.modified),
            removed: keep(&self.removed),
        }
    }
}

struct Compare {
    path: Vec<Element>,
    out: Comparison,
}

impl Compare {
    fn values(&mut self, node: Option<&Node>, old: Option<&Value>, new: Option<&Value>) {
        if old == new {
            return;
        }
        // Null goes with whatever the other side is, as an empty one of it.
        let some = |v: Option<&'_ Value>| v.is_some_and(|v| !v.is_null());
        let old_shape = old.filter(|_| some(old)).map(|v| shape(node, v));
        let new_shape = new.filter(|_| some(new)).map(|v| shape(node, v));
        let is_container = match (old_shape, new_shape) {
            (Some(Shape::Map(a)), Some(Shape::Map(b))) => self.maps(node, a, b),
            (Some(Shape::Map(a)), None) => self.maps(node, a, &Map::new()),
            (None, Some(Shape::Map(b))) => self.maps(node, &Map::new(), b),
            (Some(Shape::List(a, list)), Some(Shape::List(b, _))) => self.lists(list, a, b),
            (Some(Shape::List(a, list)), None) => self.lists(list, a, &[]),
            (None, Some(Shape::List(b, list))) => self.lists(list, &[], b),
            (a, b) => {
                // A container became a leaf, or the other way round: both its parts and itself changed.
                if let Some(Shape::Map(a)) = a {
                    self.maps(node, a, &Map::new());
                }
                if let Some(Shape::Map(b)) = b {
                    self.maps(node, &Map::new(), b);
                }
                false
            }
        };
        match (old, new) {
            (None, _) => self.out.added.insert(&self.path),
            (_, None) => self.out.removed.insert(&self.path),
            _ if !is_container => self.out.modified.insert(&self.path),
            _ => {}
        }
    }

    /// False when both are empty: then they are leaves, which keeps empty and null apart.
    fn maps(
        &mut self,
        node: Option<&Node>,
        old: &Map<String, Value>,
        new: &Map<String, Value>,
    ) -> bool {
        if old.is_empty() && new.is_empty() {
            return false;
        }
        let added = new.keys().filter(|key| !old.contains_key(*key));
        for key in old.keys().chain(added) {
            let child = node.and_then(|n| n.child(key));
            self.path.push(Element::Field(key.clone()));
            self.values(child, old.get(key), new.get(key));
            self.path.pop();
        }
        true
    }

    fn lists(&mut self, list: &Node, old: &[Value], new: &[Value]) -> bool {
        if old.is_empty() && new.is_empty() {
            return false;
        }
        let (Some(old), Some(new)) = (by_element(list, old), by_element(list, new)) else {
            return false;
        };
        let node = list.items.as_deref();
        let added = new.keys().filter(|key| !old.contains_key(key));
        for element in old.keys().chain(added) {
            let old = old.get(element).map(Vec::as_slice).unwrap_or_default();
            let new = new.get(element).map(Vec::as_slice).unwrap_or_default();
            self.path.push(element.clone());
            match (old, new) {
                ([] | [_], [] | [_]) => {
                    self.values(node, old.first().copied(), new.first().copied());
                }
                ([_, _, ..], [_, _, ..]) => {
                    if old != new {
                        self.out.modified.insert(&self.path);
                    }
                }
                ([_, _, ..], new) => {
                    if let Some(new) = new.first() {
                        self.values(node, None, Some(new));
                    }
                    self.out.removed.insert(&self.path);
                }
                (old, _) => {
                    if let Some(old) = old.first() {
                        self.values(node, Some(old), None);
                    }
                    self.out.added.insert(&self.path);
                }
            }
            self.path.pop();
        }
        true
    }
}

/// `value` without the members of `set`. A container that has no parts then is null, as upstream leaves it.
pub(crate) fn without(node: Option<&Node>, value: &Value, set: &Set) -> Value {
    match shape(node, value) {
        Shape::Leaf if value.is_object() || value.is_array() => Value::Null,
        Shape::Leaf => value.clone(),
        Shape::Map(map) => {
            let rest = map.iter().filter_map(|(key, below)| {
                let element = Element::Field(key.clone());
                Some((key.clone(), rest(child(node, &element), below, &element, set)?))
            });
            let rest: Map<String, Value> = rest.collect();
            if rest.is_empty() { Value::Null } else { Value::Object(rest) }
        }
        Shape::List(items, list) => {
            let rest = items.iter().filter_map(|item| match item_element(list, item) {
                Ok(element) => rest(list.items.as_deref(), item, &element, set),
                Err(_) => Some(item.clone()),
            });
            let rest: Vec<Value> = rest.collect();
            if rest.is_empty() { Value::Null } else { Value::Array(rest) }
        }
    }
}

/// What is left of the part at `element`.
fn rest(node: Option<&Node>, value: &Value, element: &Element, set: &Set) -> Option<Value> {
    if set.has(element) {
        return None;
    }
    Some(match set.below(element) {
        Some(below) => without(node, value, below),
        None => value.clone(),
    })
}

/// `set` with every declared field that has a member below made a member itself. A set of `a.b.c` has `a` and `a.b`
/// too, if those are fields of structs, but not if they are keys of maps, which are members on their own account.
pub(crate) fn with_declared_fields(node: Option<&Node>, set: &Set) -> Set {
    Set::from_entries(set.iter().map(|(element, member, below)| {
        let is_declared = match element {
            Element::Field(name) => node.is_some_and(|n| n.properties.contains_key(name)),
            _ => false,
        };
        let child = child(node, element);
        (element.clone(), member || is_declared, with_declared_fields(child, below))
    }))
}
