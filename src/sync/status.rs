//! What a pass found, as conditions and columns.

use jiff::Timestamp;

use crate::{
    api::{
        condition::{self, Claim, Truth},
        rollout::{
            APPLIED, APPROVAL_APPLIED, APPROVAL_REFUSED, APPROVALS_ACCEPTED, ApprovalRecord, BOUND,
            HEALTHY, READY, RECONCILING, RENDERED, RolloutStatus, SOURCE_VERIFIED, STALLED, reason,
        },
    },
    rollout::{Cause, Phase, Progress},
};

/// How the Rollout is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// As Git says.
    Ready,
    /// On the way, or waiting for somebody.
    Reconciling,
    /// Not without help.
    Stalled,
}

/// Where a pass ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How the Rollout is.
    pub state: State,
    /// A word for machines.
    pub reason: &'static str,
    /// A sentence for people.
    pub message: String,
    /// What the run waits for, if that is what is told.
    pub waits_for: Option<String>,
    /// When to look again.
    pub wake: Option<Timestamp>,
    /// Whether this is about the daemon only, which has just begun: what the status told before is as true as it was.
    pub is_quiet: bool,
}

impl Finding {
    /// Returns a finding without a time to look again.
    pub fn new(state: State, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            state,
            reason,
            message: message.into(),
            waits_for: None,
            wake: None,
            is_quiet: false,
        }
    }

    /// On the way, or waiting for somebody.
    pub fn waits(reason: &'static str, message: impl Into<String>) -> Self {
        Self::new(State::Reconciling, reason, message)
    }

    /// Not without help.
    pub fn stalled(reason: &'static str, message: impl Into<String>) -> Self {
        Self::new(State::Stalled, reason, message)
    }

    /// Tells what the run waits for; nothing when that is empty.
    #[must_use]
    pub fn waiting_for(mut self, what: String) -> Self {
        self.waits_for = Some(what).filter(|what| !what.is_empty());
        self
    }

    /// Leaves what the status told before.
    #[must_use]
    pub fn quietly(mut self) -> Self {
        self.is_quiet = true;
        self
    }

    /// Looks again at `wake` if nothing happens.
    #[must_use]
    pub fn until(mut self, wake: Timestamp) -> Self {
        self.wake = Some(wake);
        self
    }
}

/// Messages longer than this are cut: a status is read by people, and kept by an API server.
const MESSAGE_MAX: usize = 2_000;

/// The four steps to an index, each with what is known about it.
#[derive(Clone, Debug)]
pub struct Steps {
    claims: Vec<Claim>,
}

impl Default for Steps {
    fn default() -> Self {
        let unknown =
            |kind| Claim::new(kind, Truth::Unknown, reason::PROGRESSING, "not looked at yet");
        Self { claims: [SOURCE_VERIFIED, RENDERED, APPLIED, BOUND].map(unknown).to_vec() }
    }
}

impl Steps {
    /// Notes that a step is done.
    pub fn done(&mut self, kind: &'static str, reason: &str, message: impl Into<String>) {
        self.note(Claim::new(kind, Truth::True, reason, message));
    }

    /// Notes that a step failed.
    pub fn failed(&mut self, kind: &'static str, reason: &str, message: impl Into<String>) {
        self.note(Claim::new(kind, Truth::False, reason, message));
    }

    /// Notes that a step is under way.
    pub fn under_way(&mut self, kind: &'static str, reason: &str, message: impl Into<String>) {
        self.note(Claim::new(kind, Truth::Unknown, reason, message));
    }

    fn note(&mut self, claim: Claim) {
        if let Some(held) = self.claims.iter_mut().find(|held| held.kind == claim.kind) {
            *held = claim;
        }
    }
}

/// Writes a pass's findings into the status: every condition, every pass.
pub fn record(
    status: &mut RolloutStatus,
    finding: &Finding,
    steps: Steps,
    progress: Option<&Progress>,
    generation: i64,
    now: Timestamp,
) {
    let message: String = finding.message.chars().take(MESSAGE_MAX).collect();
    let truth = |is: bool| if is { Truth::True } else { Truth::False };
    let (ready, stalled) = (finding.state == State::Ready, finding.state == State::Stalled);
    let mut claims = steps.claims;
    claims.push(Claim::new(READY, truth(ready), finding.reason, message.clone()));
    claims.push(Claim::new(
        RECONCILING,
        truth(finding.state == State::Reconciling),
        finding.reason,
        if finding.state == State::Reconciling { message.clone() } else { String::new() },
    ));
    claims.push(Claim::new(
        STALLED,
        truth(stalled),
        finding.reason,
        if stalled { message.clone() } else { String::new() },
    ));
    claims.push(health(progress));
    claims.push(approvals(status));
    for mut claim in claims {
        claim.message = claim.message.chars().take(MESSAGE_MAX).collect();
        condition::set(&mut status.conditions, claim, generation, now);
    }
    status.message = Some(message);
    status.waits_for =
        finding.waits_for.as_ref().map(|text| text.chars().take(MESSAGE_MAX).collect());
    status.observed_generation = Some(generation);
    let (stage, clusters) = match progress {
        Some(progress) => columns(progress),
        None => (None, None),
    };
    status.stage = stage;
    status.clusters = clusters;
}

fn health(progress: Option<&Progress>) -> Claim {
    match progress {
        None => Claim::new(HEALTHY, Truth::Unknown, reason::PROGRESSING, "there is no run"),
        Some(progress) => match progress.phase {
            Phase::Failed => Claim::new(
                HEALTHY,
                Truth::False,
                reason::RUN_FAILED,
                progress.failure.clone().unwrap_or_default(),
            ),
            Phase::Stuck => Claim::new(HEALTHY, Truth::False, reason::STUCK, causes(progress)),
            Phase::Succeeded => Claim::new(HEALTHY, Truth::True, reason::SUCCEEDED, ""),
            _ => Claim::new(HEALTHY, Truth::True, reason::ROLLING_OUT, ""),
        },
    }
}

fn approvals(status: &RolloutStatus) -> Claim {
    let refused = status
        .approvals
        .iter()
        .enumerate()
        .rfind(|(at, record)| {
            record.state == APPROVAL_REFUSED && !is_made_up_for(record, &status.approvals[at + 1..])
        })
        .map(|(_, record)| record);
    match refused {
        None => Claim::new(APPROVALS_ACCEPTED, Truth::True, reason::NONE_REFUSED, ""),
        Some(record) => Claim::new(
            APPROVALS_ACCEPTED,
            Truth::False,
            record.reason.clone().unwrap_or_else(|| reason::REFUSED.to_owned()),
            record.message.clone().unwrap_or_default(),
        ),
    }
}

/// Returns whether a later approval did what the refused one was meant to: of the same gate, if it can be told which that was.
pub fn is_made_up_for(refused: &ApprovalRecord, later: &[ApprovalRecord]) -> bool {
    let same = |one: &str, other: &str| one.is_empty() || one == other;
    later.iter().any(|record| {
        record.state == APPROVAL_APPLIED
            && same(&refused.target, &record.target)
            && same(&refused.stage, &record.stage)
            && same(&refused.task, &record.task)
    })
}

fn columns(progress: &Progress) -> (Option<String>, Option<String>) {
    if progress.stages.is_empty() {
        return (None, None);
    }
    let (number, count) = progress.stage_number();
    let name = progress.stages.get(number - 1).map(|stage| stage.name.as_str()).unwrap_or_default();
    let clusters = format!("{}/{}", progress.updated, progress.total);
    (Some(format!("{number}/{count} {name}")), Some(clusters))
}

/// Returns what a run waits on, in one sentence; empty when it waits on nothing.
pub fn causes(progress: &Progress) -> String {
    let texts: Vec<String> = progress.waiting_on.iter().map(ToString::to_string).collect();
    texts.join(", and ")
}

/// Returns where a run is: what it does, what it waits on, since when, and who can help.
pub fn describe(run: &str, revision: &str, index: &str, progress: &Progress) -> String {
    let mut text = format!("run {run} rolls out {revision} (index {index})");
    if let (Some(stage), Some(clusters)) = columns(progress) {
        text.push_str(&format!(": stage {stage}, {clusters} clusters"));
    }
    let causes = causes(progress);
    if !causes.is_empty() {
        text.push_str(&format!("; it waits for {causes}"));
    }
    let help = progress.waiting_on.iter().find_map(|cause| match cause {
        Cause::Approval { request, .. } => Some(format!(
            "approve with `tidegate approve`, a signed Approval in Git, or by the status of {request}"
        )),
        Cause::Start { .. } => Some("start it by setting the run's spec.state to Run".to_owned()),
        Cause::Resume { .. } => Some("resume it by setting the run's spec.state to Run".to_owned()),
        Cause::Timer { .. } | Cause::Clusters { .. } => None,
    });
    if let Some(help) = help {
        text.push_str(&format!("; {help}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_until_a_later_approval_counts() {
        let record = |state: &str, stage: &str| ApprovalRecord {
            target: if stage.is_empty() { String::new() } else { "c".to_owned() },
            stage: stage.to_owned(),
            state: state.to_owned(),
            ..ApprovalRecord::default()
        };
        for (records, wanted) in [
            (vec![], Truth::True),
            (vec![("Refused", "canary")], Truth::False),
            (vec![("Refused", "canary"), ("Pending", "canary")], Truth::False),
            (vec![("Refused", "canary"), ("Applied", "canary")], Truth::True),
            (vec![("Refused", "staging"), ("Applied", "canary")], Truth::False),
            (vec![("Applied", "canary"), ("Refused", "canary")], Truth::False),
            (vec![("Refused", ""), ("Applied", "canary")], Truth::True),
        ] {
            let approvals = records.iter().map(|(state, stage)| record(state, stage)).collect();
            let status = RolloutStatus { approvals, ..RolloutStatus::default() };
            assert_eq!(super::approvals(&status).truth, wanted, "{records:?}");
        }
    }
}
