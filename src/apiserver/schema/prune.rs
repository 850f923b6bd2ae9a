//! Pruning: dropping what the schema does not know.

use serde_json::Value;

use super::node::Node;

/// Drops unknown fields below `object`; their paths, sorted.
pub(super) fn prune(root: &Node, object: &mut Value) -> Vec<String> {
    let mut walk = Walk { path: String::new(), dropped: Vec::new() };
    walk.prune(Some(root), object);
    walk.dropped.sort();
    walk.dropped
}

struct Walk {
    path: String,
    dropped: Vec<String>,
}

impl Walk {
    /// `node` is none where nothing is known: every field of an object there goes.
    fn prune(&mut self, node: Option<&Node>, value: &mut Value) {
        let keep_unknown = node.is_some_and(|n| n.preserve_unknown);
        match value {
            Value::Object(map) => map.retain(|key, below| {
                let length = self.path.len();
                push_key(&mut self.path, key);
                let child = node.and_then(|n| n.child(key));
                let known = child.is_some() || node.is_some_and(|n| n.additional.is_some());
                if known {
                    self.prune(child, below);
                } else if !keep_unknown {
                    self.dropped.push(self.path.clone());
                }
                self.path.truncate(length);
                known || keep_unknown
            }),
            Value::Array(items) => {
                let child = node.and_then(|n| n.items.as_deref());
                if keep_unknown && child.is_none() {
                    return;
                }
                for (index, item) in items.iter_mut().enumerate() {
                    let length = self.path.len();
                    self.path.push_str(&format!("[{index}]"));
                    self.prune(child, item);
                    self.path.truncate(length);
                }
            }
            _ => {}
        }
    }
}

fn push_key(path: &mut String, key: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(key);
}
