//! The order of merged lists.
//!
//! Items that the patch names come in the patch's order; the others keep theirs. Where the two meet, the order of the
//! document decides, as far as it knows both.

use serde_json::{Map, Value};

use super::{BAD_ORDER, PATCH, PatchError, malformed, unprocessable};

/// What tells items apart: the merge key, or for scalars the item itself.
fn identity<'v>(item: &'v Value, merge_key: Option<&str>) -> Option<&'v Value> {
    match merge_key {
        Some(key) => item.get(key),
        None => Some(item),
    }
}

fn position(order: &[Value], item: &Value, merge_key: Option<&str>) -> Option<usize> {
    let wanted = identity(item, merge_key)?;
    order.iter().position(|o| identity(o, merge_key) == Some(wanted))
}

/// Arranges `merged`: the items of `wanted` in its order, among the others in the order of `doc`.
pub(super) fn arrange(
    merged: Vec<Value>,
    wanted: &[Value],
    doc: &[Value],
    merge_key: Option<&str>,
) -> Vec<Value> {
    let sorted = |mut items: Vec<Value>, order: &[Value]| {
        items.sort_by_cached_key(|item| position(order, item, merge_key).unwrap_or(usize::MAX));
        items
    };
    let (named, others): (Vec<Value>, Vec<Value>) =
        merged.into_iter().partition(|item| position(wanted, item, merge_key).is_some());
    let (named, others) = (sorted(named, wanted), sorted(others, doc));
    let mut out = Vec::with_capacity(named.len() + others.len());
    let mut named = named.into_iter().peekable();
    for other in others {
        let at = position(doc, &other, merge_key);
        // A named item goes first, unless the document has it after this one.
        while let Some(next) = named.next_if(|next| {
            let next = position(doc, next, merge_key);
            !(at.is_some() && next.is_some() && at < next)
        }) {
            out.push(next);
        }
        out.push(other);
    }
    out.extend(named);
    out
}

/// Applies `$setElementOrder/name` to the list that was merged into `out`.
pub(super) fn set(
    out: &mut Map<String, Value>,
    doc: Option<&Value>,
    patch: Option<&Value>,
    name: &str,
    order: &[Value],
    merge_key: Option<&str>,
) -> Result<(), PatchError> {
    let patch = match patch {
        None | Some(Value::Null) => &[],
        Some(Value::Array(items)) => items.as_slice(),
        Some(_) => return Err(malformed(BAD_ORDER)),
    };
    agree(patch, order, merge_key)?;
    let doc = doc.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if let Some(Value::Array(items)) = out.get_mut(name) {
        *items = arrange(std::mem::take(items), order, doc, merge_key);
    }
    Ok(())
}

/// The items of the patch must stand in the order list, in its order.
fn agree(patch: &[Value], order: &[Value], merge_key: Option<&str>) -> Result<(), PatchError> {
    if order.is_empty() {
        return Ok(());
    }
    let mut rest = order.iter();
    for item in patch.iter().filter(|item| item.get(PATCH).is_none()) {
        let wanted = identity(item, merge_key);
        if !rest.any(|o| identity(o, merge_key) == wanted) {
            return Err(unprocessable(format!(
                "The order in patch list:\n{}\n doesn't match $setElementOrder list:\n{}\n",
                Value::from(patch.to_vec()),
                Value::from(order.to_vec())
            )));
        }
    }
    Ok(())
}
