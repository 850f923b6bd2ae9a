//! Conditions that are written as a whole, in a fixed order.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::api::condition::{self, Claim};

/// Returns the conditions that `claims` make, in their order. A condition that was there with the same status keeps
/// its transition time; others go.
pub fn rebuild(
    held: &[Condition],
    claims: Vec<Claim>,
    generation: i64,
    now: Timestamp,
) -> Vec<Condition> {
    let mut conditions = Vec::with_capacity(claims.len());
    for claim in claims {
        conditions.extend(condition::find(held, claim.kind).cloned());
        condition::set(&mut conditions, claim, generation, now);
    }
    conditions
}
