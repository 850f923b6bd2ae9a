//! How ownership sees a value: as one thing, or as a container whose parts have owners of their own.
//!
//! The types come from the schema. Where it knows nothing, they are deduced as structured-merge-diff does for custom
//! resources: maps have parts, lists are one thing.

use serde_json::{Map, Value};

use super::element::{Element, Scalar};
use crate::apiserver::schema::{ListType, Node};

/// How ownership sees a value.
pub(crate) enum Shape<'v, 'n> {
    /// One thing with one set of owners: a scalar, an atomic list, an atomic map.
    Leaf,
    /// A map whose fields have owners.
    Map(&'v Map<String, Value>),
    /// A list whose items have owners, told apart as the node says.
    List(&'v [Value], &'n Node),
}

/// The shape of `value` where the schema says `node`.
pub(crate) fn shape<'v, 'n>(node: Option<&'n Node>, value: &'v Value) -> Shape<'v, 'n> {
    match (value, node) {
        (Value::Object(map), None) => Shape::Map(map),
        (Value::Object(map), Some(node)) if !node.map_atomic => Shape::Map(map),
        (Value::Array(items), Some(node)) if node.list_type != ListType::Atomic => {
            Shape::List(items, node)
        }
        _ => Shape::Leaf,
    }
}

/// The element that tells an item of a list apart.
pub(crate) fn item_element(list: &Node, item: &Value) -> Result<Element, String> {
    let keys = match &list.list_type {
        ListType::Map(keys) => keys,
        ListType::Set | ListType::Atomic => {
            return match item {
                Value::Object(_) => {
                    Err("associative list without keys has an element that's a map type".to_owned())
                }
                Value::Array(_) => {
                    Err("not supported: associative list with lists as elements".to_owned())
                }
                Value::Null => {
                    Err("associative list without keys has an element that's an explicit null"
                        .to_owned())
                }
                scalar => Scalar::of(scalar).map(Element::Value).ok_or_else(String::new),
            };
        }
    };
    let map = match item {
        Value::Object(map) => map,
        Value::Null => {
            return Err("associative list with keys may not have a null element".to_owned());
        }
        _ => return Err("associative list with keys may not have non-map elements".to_owned()),
    };
    let node = list.items.as_deref();
    let mut found = Vec::with_capacity(keys.len());
    for key in keys {
        let default = || node.and_then(|n| n.properties.get(key)).and_then(|p| p.default.as_ref());
        let Some(value) = map.get(key).or_else(default) else { continue };
        let scalar = Scalar::of(value).ok_or_else(|| format!("key field {key:?} is no scalar"))?;
        found.push((key.clone(), scalar));
    }
    if found.is_empty() {
        return Err(format!(
            "associative list with keys has an element that omits all key fields {keys:?} (and doesn't have default \
             values for any key fields)"
        ));
    }
    Ok(Element::Key(found))
}
