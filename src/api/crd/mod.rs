//! CustomResourceDefinitions of Fleet's kinds and ours, built from short descriptions.
//!
//! A hub that runs Fleet has Fleet's own; a plain hub and the embedded one get these. What a client may write, what is
//! filled in, and what is refused with which words follows fleet-semantics §1 and §2; descriptions are ours.
//! `deploy/crds/` holds the same definitions as files.

mod approval;
mod binding;
mod definition;
mod lacking;
mod member;
mod placement;
mod rollout;
mod run;
mod schema;
mod shared;
mod snapshot;
mod source;
mod strategy;
mod work;

use serde_json::Value;

use definition::Definition;
pub use lacking::lacking;

/// Returns every definition, in the order of their names. A hub needs all of them, a member cluster only the one of
/// [`kind::APPLIED_WORK`](super::kind::APPLIED_WORK).
pub fn all() -> Vec<Value> {
    let mut all: Vec<Value> = definitions().iter().map(Definition::manifest).collect();
    all.sort_by(|a, b| a["metadata"]["name"].as_str().cmp(&b["metadata"]["name"].as_str()));
    all
}

fn definitions() -> Vec<Definition> {
    vec![
        placement::cluster(),
        placement::namespaced(),
        placement::mirrored_status(),
        snapshot::cluster_policy(),
        snapshot::namespaced_policy(),
        snapshot::cluster_resource(),
        snapshot::namespaced_resource(),
        binding::cluster(),
        binding::namespaced(),
        strategy::cluster(),
        strategy::namespaced(),
        run::cluster(),
        run::namespaced(),
        approval::cluster(),
        approval::namespaced(),
        work::work(),
        work::applied(),
        member::member(),
        member::internal(),
        rollout::rollout(),
        source::source(),
    ]
}
