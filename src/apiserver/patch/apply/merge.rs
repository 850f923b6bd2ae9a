//! Merging a configuration into an object. Nothing is removed here.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Map, Value};

use crate::apiserver::{
    field::{Element, Shape, item_element, shape},
    schema::Node,
};

/// `live` with everything that `applied` says: leaves replaced, containers merged.
pub(super) fn merge(node: Option<&Node>, live: &Value, applied: &Value) -> Value {
    match (shape(node, live), shape(node, applied)) {
        (Shape::Map(old), Shape::Map(new)) if !new.is_empty() || !old.is_empty() => {
            Value::Object(merge_maps(node, old, new))
        }
        (Shape::List(old, list), Shape::List(new, _)) if !new.is_empty() || !old.is_empty() => {
            match merge_lists(list, old, new) {
                Some(items) => Value::Array(items),
                None => applied.clone(),
            }
        }
        // Saying null of a container says nothing of its parts.
        (Shape::Map(old), _) if applied.is_null() && !old.is_empty() => live.clone(),
        (Shape::List(old, _), _) if applied.is_null() && !old.is_empty() => live.clone(),
        _ => applied.clone(),
    }
}

fn merge_maps(
    node: Option<&Node>,
    old: &Map<String, Value>,
    new: &Map<String, Value>,
) -> Map<String, Value> {
    let mut out = old.clone();
    for (key, applied) in new {
        let child = node.and_then(|n| n.child(key));
        let value = match out.get(key) {
            Some(live) => merge(child, live, applied),
            None => applied.clone(),
        };
        out.insert(key.clone(), value);
    }
    out
}

/// Merges items by element. The applied items come in their order; items only in `old` keep their place relative to
/// the items around them that both have. None when an item cannot be told apart.
fn merge_lists(list: &Node, old: &[Value], new: &[Value]) -> Option<Vec<Value>> {
    let elements = |items: &[Value]| -> Option<Vec<Element>> {
        items.iter().map(|item| item_element(list, item).ok()).collect()
    };
    let (old_elements, new_elements) = (elements(old)?, elements(new)?);
    // What an applied item merges with: nothing, when the old list has it more than once.
    let mut partners: BTreeMap<&Element, Option<&Value>> = BTreeMap::new();
    for (element, item) in old_elements.iter().zip(old) {
        partners.entry(element).and_modify(|p| *p = None).or_insert(Some(item));
    }
    let applied: BTreeMap<&Element, &Value> = new_elements.iter().zip(new).collect();
    let mut shared: VecDeque<&Element> =
        new_elements.iter().filter(|e| partners.contains_key(e)).collect();
    let node = list.items.as_deref();
    let take = |element: &Element, item: &Value| match partners.get(element) {
        Some(Some(live)) => merge(node, live, item),
        _ => item.clone(),
    };

    let mut out = Vec::with_capacity(old.len().max(new.len()));
    let (mut left, mut right) = (0, 0);
    while left < old.len() || right < new.len() {
        match (old_elements.get(left), new_elements.get(right)) {
            // Only in the old list: it stays here.
            (Some(element), _) if !applied.contains_key(element) => {
                out.push(old[left].clone());
                left += 1;
            }
            // In both lists, and it is its turn.
            (Some(ours), Some(theirs)) if ours == theirs => {
                out.push(take(theirs, &new[right]));
                shared.retain(|e| *e != theirs);
                (left, right) = (left + 1, right + 1);
            }
            // In both lists, but the applied order has another one first, or had this one before.
            (Some(ours), Some(_)) if shared.front() != Some(&ours) => left += 1,
            (Some(_), None) => left += 1,
            (_, Some(theirs)) => {
                out.push(take(theirs, &new[right]));
                shared.retain(|e| *e != theirs);
                right += 1;
            }
            (None, None) => break,
        }
    }
    Some(out)
}
