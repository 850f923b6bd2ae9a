//! Fleet's kinds, and ours, as CustomResourceDefinitions.
//!
//! The rules, defaults and messages are Fleet's (fleet-semantics §1.3, §1.4, §2); the text is ours. `deploy/crds` holds
//! what [`all`] returns, kept fresh by a test, and the embedded hub installs it.

mod definition;
mod member;
mod placement;
mod schema;
mod snapshot;
mod staged;
mod work;

use serde_json::Value;

/// Returns every definition, in the order of their names.
pub fn all() -> Vec<Value> {
    let mut all =
        [member::all(), placement::all(), snapshot::all(), staged::all(), work::all()].concat();
    all.sort_by(|a, b| a["metadata"]["name"].as_str().cmp(&b["metadata"]["name"].as_str()));
    all
}
