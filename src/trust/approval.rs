//! `Approval` documents, and whether they open a gate.

use std::{fmt::Display, str::FromStr};

use jiff::Timestamp;
use serde_json::{Map, Value};

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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Task {
    /// Before the stage.
    BeforeStage,
    /// After the stage.
    AfterStage,
}

/// Yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Yes.
    Approve,
    /// No: whatever else is said, the gate stays shut.
    Reject,
}

impl FromStr for Task {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "BeforeStage" => Ok(Self::BeforeStage),
            "AfterStage" => Ok(Self::AfterStage),
            _ => Err("expected BeforeStage or AfterStage"),
        }
    }
}

impl FromStr for Decision {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "Approve" => Ok(Self::Approve),
            "Reject" => Ok(Self::Reject),
            _ => Err("expected Approve or Reject"),
        }
    }
}

/// The document is not an approval.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an Approval: {problem}")]
pub struct InvalidApproval {
    /// What is wrong.
    pub problem: String,
}

/// What an approval is written as.
const API_VERSION: &str = "gitops.tidegate.dev/v1alpha1";
const KIND: &str = "Approval";

impl Approval {
    /// Reads a document of kind `Approval`. A field that is not known is refused: it could be a condition that its author
    /// counts on.
    ///
    /// # Errors
    /// When a field is missing, unknown or cannot be.
    pub fn read(document: &Value) -> Result<Self, InvalidApproval> {
        let mut reader = Reader { problems: Vec::new() };
        reader.constant(document, "apiVersion", API_VERSION);
        reader.constant(document, "kind", KIND);
        reader.known(document, "", &["apiVersion", "kind", "metadata", "spec"]);
        let empty = Value::Object(Map::new());
        let spec = match document.get("spec") {
            Some(spec @ Value::Object(_)) => spec,
            _ => {
                reader.problem("spec", "is missing or no map");
                &empty
            }
        };
        reader.known(spec, "spec.", &FIELDS);
        let rollout = reader.required(spec, "rollout", text);
        let commit = reader.required(spec, "commit", CommitId::from_str);
        let stage = reader.required(spec, "stage", text);
        let task = reader.required(spec, "task", Task::from_str);
        let decision = reader.required(spec, "decision", Decision::from_str);
        let plan = reader.optional(spec, "plan", Digest::from_str);
        let expires = reader.optional(spec, "expires", Timestamp::from_str);
        match (rollout, commit, stage, task, decision) {
            (Some(rollout), Some(commit), Some(stage), Some(task), Some(decision))
                if reader.problems.is_empty() =>
            {
                Ok(Self { rollout, commit, stage, task, decision, plan, expires })
            }
            _ => Err(InvalidApproval { problem: reader.problems.join("; ") }),
        }
    }
}

const FIELDS: [&str; 7] = ["rollout", "commit", "stage", "task", "decision", "plan", "expires"];

fn text(text: &str) -> Result<String, &'static str> {
    match text.is_empty() {
        true => Err("it is empty"),
        false => Ok(text.to_owned()),
    }
}

/// Collects everything that is wrong, so that a person mends it at once.
struct Reader {
    problems: Vec<String>,
}

impl Reader {
    fn problem(&mut self, field: &str, what: impl Display) {
        self.problems.push(format!("{field}: {what}"));
    }

    fn constant(&mut self, document: &Value, field: &str, want: &str) {
        if document.get(field).and_then(Value::as_str) != Some(want) {
            self.problem(field, format!("is not `{want}`"));
        }
    }

    fn known(&mut self, map: &Value, prefix: &str, known: &[&str]) {
        let fields = map.as_object().into_iter().flat_map(Map::keys);
        for field in fields.filter(|field| !known.contains(&field.as_str())).take(5) {
            let shown: String = field.chars().take(80).collect();
            self.problem(&format!("{prefix}{shown}"), "is no field of an Approval");
        }
    }

    fn required<T, E: Display>(
        &mut self,
        spec: &Value,
        field: &str,
        read: impl Fn(&str) -> Result<T, E>,
    ) -> Option<T> {
        if spec.get(field).is_none_or(Value::is_null) {
            self.problem(&format!("spec.{field}"), "is missing");
        }
        self.optional(spec, field, read)
    }

    fn optional<T, E: Display>(
        &mut self,
        spec: &Value,
        field: &str,
        read: impl Fn(&str) -> Result<T, E>,
    ) -> Option<T> {
        let value = spec.get(field).filter(|value| !value.is_null())?;
        match value.as_str().map(read) {
            Some(Ok(value)) => return Some(value),
            Some(Err(error)) => self.problem(&format!("spec.{field}"), error),
            None => self.problem(&format!("spec.{field}"), "is no text"),
        }
        None
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
    if let Some(found) = &approval.plan {
        let found = found.to_string();
        match &gate.plan {
            Some(wanted) if wanted.to_string() == found => {}
            Some(wanted) => return Err(Refusal::OtherPlan { found, wanted: wanted.to_string() }),
            None => return Err(Refusal::PlanUnknown { found }),
        }
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
    fn a_plan_that_cannot_be_compared_opens_nothing() {
        let mut document = document();
        document["spec"]["plan"] = json!(Digest::of(b"plan").as_str());
        let approval = Approval::read(&document).unwrap();
        let gate = Gate { plan: None, ..gate() };
        let verdict = judge(&approval, Ok(signer()), &gate, None, Timestamp::UNIX_EPOCH);
        assert!(matches!(verdict, Verdict::Refused(Refusal::PlanUnknown { .. })), "{verdict:?}");
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for (pointer, value, want) in [
            ("/spec/unless", json!("Friday"), "spec.unless: is no field of an Approval"),
            ("/spec/decision", json!("Maybe"), "spec.decision: expected Approve or Reject"),
            ("/spec/commit", json!("3f2a91c0"), "spec.commit: `3f2a91c0` is not a full commit id"),
            ("/spec/stage", json!(7), "spec.stage: is no text"),
            ("/spec/stage", json!(null), "spec.stage: is missing"),
            ("/spec/expires", json!("soon"), "spec.expires: "),
            ("/status", json!({}), "status: is no field of an Approval"),
            ("/apiVersion", json!("v1"), "apiVersion: is not `gitops.tidegate.dev/v1alpha1`"),
            ("/spec", json!("web"), "spec: is missing or no map"),
        ] {
            let mut document = document();
            let (parent, field) = pointer.rsplit_once('/').unwrap();
            document.pointer_mut(parent).unwrap()[field] = value;
            let error = Approval::read(&document).unwrap_err().to_string();
            assert!(error.contains(want), "{pointer}: {error}");
        }
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        let mut document = document();
        document["spec"] = json!({"rollout": "web", "task": "Sometime", "decision": "Maybe"});
        let error = Approval::read(&document).unwrap_err().to_string();
        for field in ["spec.commit", "spec.stage", "spec.task", "spec.decision"] {
            assert!(error.contains(field), "{error}");
        }
    }
}
