//! What a namespace may have: how much objects use, and whether a ResourceQuota has room for them
//! (`kubernetes/pkg/quota/v1`).

mod amounts;
mod check;
mod pod;
mod usage;

pub(crate) use self::{
    check::{charge, hard_of, recount},
    usage::is_counted,
};

/// Requests or limits of a whole pod, by name.
pub(super) fn pod_total(
    pod: &serde_json::Value,
    which: &str,
) -> std::collections::BTreeMap<String, super::types::Quantity> {
    pod::total(pod, which).0
}
