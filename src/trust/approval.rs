//! `Approval` documents, and whether they open a gate.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::{refusal::Refusal, ssh::Signer};
use crate::model::{CommitId, Digest};

/// What a person wrote down: this gate of this run may open, or must not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// `name` or `namespace/name`.
    pub rollout: String,
    /// The commit whose run is judged.
    pub commit: CommitId,
    /// The stage.
    pub stage: String,
    /// Before or after it.
    pub task: Task,
    /// Yes or no.
    pub decision: Decision,
    /// What exactly is approved.
    pub plan: Option<Digest>,
    /// Not after.
    pub expires: Option<Timestamp>,
}

/// Where a gate stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub enum Task {
    /// Before the stage.
    BeforeStage,
    /// After the stage.
    AfterStage,
}

/// Yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Decision {
    /// Yes.
    Approve,
    /// No: whatever else is said, the gate stays shut.
    Reject,
}

/// The document is not an approval.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an Approval: {problem}")]
pub struct InvalidApproval {
    /// What is wrong.
    pub problem: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Document {
    #[allow(dead_code)]
    api_version: String,
    #[allow(dead_code)]
    kind: String,
    #[allow(dead_code)]
    #[serde(default)]
    metadata: Value,
    spec: Spec,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Spec {
    rollout: String,
    commit: CommitId,
    stage: String,
    task: Task,
    decision: Decision,
    plan: Option<Digest>,
    expires: Option<Timestamp>,
}

impl Approval {
    /// Reads a document of kind `Approval`. A field that is not known is refused: it could be a condition that its author
    /// counts on.
    ///
    /// # Errors
    /// When a field is missing, unknown or cannot be.
    pub fn read(document: &Value) -> Result<Self, InvalidApproval> {
        let document: Document = Document::deserialize(document)
            .map_err(|error| InvalidApproval { problem: error.to_string() })?;
        let Spec { rollout, commit, stage, task, decision, plan, expires } = document.spec;
        Ok(Self { rollout, commit, stage, task, decision, plan, expires })
    }
}

/// A gate that waits, in the words that an approval must use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gate {
    /// `name` or `namespace/name`.
    pub rollout: String,
    /// The commit that the run rolls out.
    pub commit: CommitId,
    /// The run.
    pub run: String,
    /// Stages of the run and the gates they have.
    pub stages: Vec<(String, Vec<Task>)>,
    /// The run's plan, where it is known.
    pub plan: Option<Digest>,
}

/// What becomes of an approval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It opens the gate.
    Approved {
        /// Who said so.
        by: Signer,
    },
    /// It keeps the gate shut.
    Rejected {
        /// Who said so.
        by: Signer,
    },
    /// It does not count.
    Refused(Refusal),
}

/// Judges `approval`, signed as `signer` says, for `gate`. `used_for` names the run that it opened a gate of before.
pub fn judge(
    approval: &Approval,
    signer: Result<Signer, Refusal>,
    gate: &Gate,
    used_for: Option<&str>,
    now: Timestamp,
) -> Verdict {
    match check(approval, signer, gate, used_for, now) {
        Err(refusal) => Verdict::Refused(refusal),
        Ok(by) => match approval.decision {
            Decision::Approve => Verdict::Approved { by },
            Decision::Reject => Verdict::Rejected { by },
        },
    }
}

fn check(
    approval: &Approval,
    signer: Result<Signer, Refusal>,
    gate: &Gate,
    used_for: Option<&str>,
    now: Timestamp,
) -> Result<Signer, Refusal> {
    // The signature first: nobody learns what would have been accepted without one that counts.
    let signer = signer?;
    if approval.rollout != gate.rollout {
        return Err(Refusal::OtherRollout {
            found: approval.rollout.clone(),
            wanted: gate.rollout.clone(),
        });
    }
    if approval.commit != gate.commit {
        return Err(Refusal::OtherCommit {
            found: approval.commit.to_string(),
            wanted: gate.commit.to_string(),
        });
    }
    let Some((stage, tasks)) = gate.stages.iter().find(|(stage, _)| *stage == approval.stage)
    else {
        return Err(Refusal::UnknownStage { stage: approval.stage.clone() });
    };
    if !tasks.contains(&approval.task) {
        let task = if approval.task == Task::BeforeStage { "before" } else { "after" };
        return Err(Refusal::UnknownTask { stage: stage.clone(), task });
    }
    if let (Some(found), Some(wanted)) = (&approval.plan, &gate.plan)
        && found != wanted
    {
        return Err(Refusal::OtherPlan { found: found.to_string(), wanted: wanted.to_string() });
    }
    if let Some(expires) = approval.expires.filter(|expires| *expires <= now) {
        return Err(Refusal::Expired { expires });
    }
    if let Some(run) = used_for.filter(|run| *run != gate.run) {
        return Err(Refusal::AlreadyUsed { run: run.to_owned() });
    }
    Ok(signer)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const COMMIT: &str = "3f2a91c0d5e6f708192a3b4c5d6e7f8091a2b3c4";

    fn document() -> Value {
        json!({"apiVersion": "gitops.tidegate.dev/v1alpha1", "kind": "Approval", "metadata": {"name": "canary"},
            "spec": {"rollout": "web", "commit": COMMIT, "stage": "canary", "task": "BeforeStage", "decision": "Approve"}})
    }

    fn gate() -> Gate {
        Gate {
            rollout: "web".into(),
            commit: COMMIT.parse().unwrap(),
            run: "web-3f2a91c0".into(),
            stages: vec![("staging".into(), vec![]), ("canary".into(), vec![Task::BeforeStage])],
            plan: Some(Digest::of(b"plan")),
        }
    }

    fn signer() -> Signer {
        Signer { principal: "alice".into(), fingerprint: "SHA256:x".into() }
    }

    #[test]
    fn each_replay_has_its_own_reason() {
        let other = "0000000000000000000000000000000000000000";
        let digest = Digest::of(b"other");
        for (field, value, want) in [
            ("decision", json!("Approve"), "approved"),
            ("decision", json!("Reject"), "rejected"),
            ("rollout", json!("api"), "ApprovalOtherRollout"),
            ("commit", json!(other), "ApprovalOtherCommit"),
            ("stage", json!("prod"), "ApprovalUnknownStage"),
            ("stage", json!("staging"), "ApprovalUnknownTask"),
            ("task", json!("AfterStage"), "ApprovalUnknownTask"),
            ("expires", json!("2026-01-01T00:00:00Z"), "ApprovalExpired"),
            ("expires", json!("2026-01-03T00:00:00Z"), "approved"),
            ("plan", json!(digest.as_str()), "ApprovalOtherPlan"),
            ("plan", json!(Digest::of(b"plan").as_str()), "approved"),
        ] {
            let mut document = document();
            document["spec"][field] = value.clone();
            let approval = Approval::read(&document).unwrap();
            let verdict = judge(
                &approval,
                Ok(signer()),
                &gate(),
                None,
                "2026-01-02T00:00:00Z".parse().unwrap(),
            );
            let got = match &verdict {
                Verdict::Approved { .. } => "approved",
                Verdict::Rejected { .. } => "rejected",
                Verdict::Refused(refusal) => refusal.reason(),
            };
            assert_eq!(got, want, "{field}: {value}");
        }
    }

    #[test]
    fn an_approval_counts_for_one_run_and_only_with_a_signature() {
        let approval = Approval::read(&document()).unwrap();
        let judge = |signer, used| judge(&approval, signer, &gate(), used, Timestamp::UNIX_EPOCH);
        assert!(
            matches!(judge(Ok(signer()), Some("web-3f2a91c0")), Verdict::Approved { .. }),
            "the same run again"
        );
        assert!(matches!(
            judge(Ok(signer()), Some("older")),
            Verdict::Refused(Refusal::AlreadyUsed { .. })
        ));
        assert_eq!(judge(Err(Refusal::Unsigned), None), Verdict::Refused(Refusal::Unsigned));
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for (field, value) in [
            ("unless", json!("Friday")),
            ("decision", json!("Maybe")),
            ("commit", json!("3f2a91c0")),
        ] {
            let mut document = document();
            document["spec"][field] = value;
            assert!(
                Approval::read(&document).unwrap_err().to_string().contains("not an Approval"),
                "{field}"
            );
        }
    }
}
