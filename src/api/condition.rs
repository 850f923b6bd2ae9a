//! One door for conditions.

use jiff::{Timestamp, Unit};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// A condition's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    /// It is so.
    True,
    /// It is not so.
    False,
    /// It cannot be said yet.
    Unknown,
}

impl Truth {
    /// Returns the wire's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

/// What a condition says, before it is stamped with a generation and a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The condition's type.
    pub kind: &'static str,
    /// Whether it is so.
    pub truth: Truth,
    /// A word for machines.
    pub reason: String,
    /// A sentence for people.
    pub message: String,
}

impl Claim {
    /// Returns a claim.
    pub fn new(
        kind: &'static str,
        truth: Truth,
        reason: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self { kind, truth, reason: reason.into(), message: message.into() }
    }
}

/// Returns `time` with whole seconds: what the wire can hold.
pub fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second())
        .unwrap_or_else(|_| time.round(Unit::Second).unwrap_or(time))
}

/// Upserts `claim`. `lastTransitionTime` moves only with the status: timed waits count from it.
pub fn set(conditions: &mut Vec<Condition>, claim: Claim, generation: i64, now: Timestamp) {
    let mut next = Condition {
        type_: claim.kind.to_owned(),
        status: claim.truth.as_str().to_owned(),
        reason: claim.reason,
        message: claim.message,
        observed_generation: Some(generation),
        last_transition_time: Time(whole_seconds(now)),
    };
    match conditions.iter_mut().find(|held| held.type_ == next.type_) {
        Some(held) => {
            if held.status == next.status {
                next.last_transition_time = held.last_transition_time.clone();
            }
            *held = next;
        }
        None => conditions.push(next),
    }
}

/// Returns the condition of this type.
pub fn find<'a>(conditions: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == kind)
}

/// Removes the condition of this type.
pub fn remove(conditions: &mut Vec<Condition>, kind: &str) {
    conditions.retain(|condition| condition.type_ != kind);
}

/// Returns the condition's status, whatever generation it speaks of.
pub fn truth(conditions: &[Condition], kind: &str) -> Option<Truth> {
    find(conditions, kind).map(|condition| match condition.status.as_str() {
        "True" => Truth::True,
        "False" => Truth::False,
        _ => Truth::Unknown,
    })
}

/// Returns the condition's status if it speaks of this generation of its owner: "True@gen" in fleet-semantics.
pub fn fresh_truth(conditions: &[Condition], kind: &str, generation: i64) -> Option<Truth> {
    let condition = find(conditions, kind)?;
    (condition.observed_generation == Some(generation)).then(|| truth(conditions, kind))?
}

/// Returns whether the condition is `True`, whatever generation it speaks of.
pub fn is_true(conditions: &[Condition], kind: &str) -> bool {
    truth(conditions, kind) == Some(Truth::True)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_transition_time_moves_only_with_the_status() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut held = Vec::new();
        let claim = |truth, reason| Claim::new("Progressing", truth, reason, "");
        set(&mut held, claim(Truth::False, "Waiting"), 1, at(10));
        set(&mut held, claim(Truth::False, "Stopped"), 2, at(20));
        assert_eq!((held[0].last_transition_time.0, held[0].reason.as_str()), (at(10), "Stopped"));
        assert_eq!(fresh_truth(&held, "Progressing", 2), Some(Truth::False));
        assert_eq!(fresh_truth(&held, "Progressing", 1), None);
        set(&mut held, claim(Truth::True, "Going"), 2, at(30));
        assert_eq!(held[0].last_transition_time.0, at(30));
    }
}
