//! New commits: the approvals they bring, and the policy they leave in force.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::Value;

use super::lineage::{in_force, turns};
use crate::{
    api::rollout::{APPROVAL_PENDING, APPROVAL_REFUSED, ApprovalRecord},
    model::{CommitId, Hint as _},
    trust::{
        ALLOWED_SIGNERS_PATH, AllowedSigners, Approval, Decision, Evidence, InvalidApproval,
        Refusal, Task, ssh,
    },
};

/// What one commit brings. Of a merge, only what none of its parents has.
#[derive(Clone, Debug, PartialEq)]
pub struct CommitNews {
    /// The commit.
    pub id: CommitId,
    /// Its parents.
    pub parents: Vec<CommitId>,
    /// Its signature.
    pub evidence: Evidence,
    /// Documents of kind Approval that are new or changed.
    pub approvals: Vec<ApprovalDocument>,
    /// Trailers of its message that approve or reject, key and value.
    pub trailers: Vec<(String, String)>,
    /// Whether it changes no file: only then its trailers count, for a change has other readers than an approval.
    pub is_empty: bool,
    /// What it does to the policy, if the file is another than in any of its parents.
    pub policy: Option<PolicyChange>,
}

impl CommitNews {
    fn brings_approvals(&self) -> bool {
        !self.approvals.is_empty() || !self.trailers.is_empty()
    }
}

/// A document of kind Approval, or a file that should hold one.
#[derive(Clone, Debug, PartialEq)]
pub struct ApprovalDocument {
    /// Its file.
    pub path: String,
    /// What it says, as far as that can be read.
    pub value: Value,
    /// Why it cannot be read, if so.
    pub problem: Option<String>,
}

/// Texts of `policy/allowed_signers`; nothing where there is no such file.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyChange {
    /// In each parent.
    pub before: Vec<Option<String>>,
    /// In the commit.
    pub after: Option<String>,
}

/// Who may approve.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Policy {
    /// The commit it was read from; nothing when it was configured.
    pub commit: Option<CommitId>,
    /// The people; nothing when there is no policy.
    pub signers: Option<AllowedSigners>,
    /// The text of that commit's file; nothing when it was configured.
    pub text: Option<String>,
}

/// Reason of a record whose document is no approval.
pub const APPROVAL_INVALID: &str = "ApprovalInvalid";
/// Reason of a record about a policy that does not count.
pub const POLICY_REFUSED: &str = "PolicyRefused";

/// Why a first policy cannot come by a commit, and what helps.
pub const LOCKED_OUT: &str = "nobody may approve or change the policy, for the one in force names nobody (start `tidegate run` with --allowed-signers, or let `tidegate local` look anew: kubectl delete rollout NAME)";

/// Returns whether the Rollout `name`, which rolls out `current`, shows this record: it is addressed to it, or to none that is
/// `known` and thus a slip that somebody has to see. Shown does not mean that it counts.
pub fn concerns(
    record: &ApprovalRecord,
    name: &str,
    known: impl Fn(&str) -> bool,
    current: Option<&str>,
) -> bool {
    record.rollout == name
        || record.rollout.is_empty()
        || (!known(&record.rollout) && current == Some(record.target.as_str()))
}

/// Judges the signatures of the commits since `accepted`, each after its parents, the tip last.
///
/// Each commit is judged by the policy in force before it: of the branch, and for what was merged, of the branch when it was
/// merged. A commit that changes the policy counts only when somebody who may approve signed it; otherwise the policy in
/// force stays.
pub fn read_news(
    accepted: &CommitId,
    commits: &[CommitNews],
    mut policy: Policy,
    now: Timestamp,
) -> (Vec<ApprovalRecord>, Policy) {
    let mut found = Vec::new();
    for turn in turns(commits, accepted) {
        let judged = in_force(&turn, &policy, now);
        for (commit, policy) in turn.merged.iter().zip(&judged.merged) {
            records(commit, policy, now, &mut found);
        }
        records(turn.commit, &policy, now, &mut found);
        match judged.after {
            Ok(after) => policy = after,
            Err(why) => found.push(ApprovalRecord {
                commit: turn.commit.id.to_string(),
                path: ALLOWED_SIGNERS_PATH.to_owned(),
                state: APPROVAL_REFUSED.to_owned(),
                reason: Some(POLICY_REFUSED.to_owned()),
                message: Some(bounded(&format!(
                    "the policy of commit {} does not count, and what was in force before stays so: {why}",
                    turn.commit.id.short()
                ), MESSAGE_MAX)),
                ..ApprovalRecord::default()
            }),
        }
    }
    (found, policy)
}

/// Judges the approvals of one commit, whose signature is looked at once.
fn records(commit: &CommitNews, policy: &Policy, now: Timestamp, found: &mut Vec<ApprovalRecord>) {
    if !commit.brings_approvals() {
        return;
    }
    let signer = match &policy.signers {
        None => Err(Refusal::NoPolicy),
        Some(signers) => ssh::verify(&commit.evidence, signers, now),
    };
    for document in &commit.approvals {
        let said = Said::in_document(document);
        found.push(record(commit, &document.path, said, &signer));
    }
    for (key, value) in &commit.trailers {
        if let Some(said) = Said::in_trailer(key, value, commit.is_empty) {
            found.push(record(commit, &format!("trailer {key}"), said, &signer));
        }
    }
}

/// What somebody wrote, and what it means.
struct Said {
    /// The words for Rollout, commit, stage, task and decision, as far as there are any.
    words: [String; 5],
    approval: Result<Approval, InvalidApproval>,
}

impl Said {
    fn in_document(document: &ApprovalDocument) -> Self {
        let said = &document.value["spec"];
        let word = |field| said[field].as_str().map(name).unwrap_or_default();
        let words = ["rollout", "commit", "stage", "task", "decision"].map(word);
        let approval = match document.problem.clone() {
            None => Approval::read(&document.value),
            Some(problem) => Err(InvalidApproval { problem }),
        };
        Self { words, approval }
    }

    /// Nothing when the key is another's.
    fn in_trailer(key: &str, value: &str, counts: bool) -> Option<Self> {
        let mut approval = Approval::from_trailer(key, value)?;
        if !counts {
            let problem = format!("the commit changes files; {key} counts on an empty commit");
            approval = Err(InvalidApproval { problem });
        }
        let mut said = value.split_ascii_whitespace();
        let words = std::array::from_fn(|at| match at {
            4 => key.rsplit('-').next().map(name).unwrap_or_default(),
            _ => said.next().map(name).unwrap_or_default(),
        });
        Some(Self { words, approval })
    }
}

/// A name of Kubernetes has no more characters.
const NAME_MAX: usize = 253;
/// Whoever may push chooses paths and names, and the status has to hold them all.
const MESSAGE_MAX: usize = 1_000;

fn name(text: &str) -> String {
    bounded(text, NAME_MAX)
}

fn bounded(text: &str, max: usize) -> String {
    text.chars().take(max).collect()
}

fn record(
    commit: &CommitNews,
    path: &str,
    said: Said,
    signer: &Result<ssh::Signer, Refusal>,
) -> ApprovalRecord {
    let [rollout, target, stage, task, decision] = said.words;
    let mut record = ApprovalRecord {
        commit: commit.id.to_string(),
        signed: commit.evidence.digest().map(|digest| digest.to_string()),
        path: name(path),
        rollout,
        target,
        stage,
        task,
        decision,
        state: APPROVAL_PENDING.to_owned(),
        ..ApprovalRecord::default()
    };
    let refuse = |record: &mut ApprovalRecord, reason: &str, message: String| {
        record.state = APPROVAL_REFUSED.to_owned();
        record.reason = Some(reason.to_owned());
        record.message = Some(bounded(&message, MESSAGE_MAX));
    };
    let path = record.path.clone();
    match signer {
        Err(refusal) => {
            let message = format!("{path} in commit {}: {}", commit.id.short(), describe(refusal));
            refuse(&mut record, refusal.reason(), message);
        }
        Ok(signer) => {
            record.by = Some(name(&signer.principal));
            match said.approval {
                Err(error) => {
                    let message = format!("{path} in commit {}: {error}", commit.id.short());
                    refuse(&mut record, APPROVAL_INVALID, message);
                }
                Ok(approval) => fill(&mut record, &approval),
            }
        }
    }
    record
}

fn fill(record: &mut ApprovalRecord, approval: &Approval) {
    record.target = approval.commit.to_string();
    record.task = match approval.task {
        Task::BeforeStage => "BeforeStage".to_owned(),
        Task::AfterStage => "AfterStage".to_owned(),
    };
    record.decision = match approval.decision {
        Decision::Approve => "Approve".to_owned(),
        Decision::Reject => "Reject".to_owned(),
    };
    record.plan = approval.plan.as_ref().map(ToString::to_string);
    record.expires = approval.expires.map(Time);
}

/// Returns a refusal in one sentence, with what would help.
pub(super) fn describe(refusal: &Refusal) -> String {
    match refusal.hint() {
        Some(hint) => format!("{refusal} ({hint})"),
        None => refusal.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ACCEPTED: &str = "00112233445566778899aabbccddeeff00112233";

    fn commit(approvals: Vec<ApprovalDocument>, policy: Option<&str>) -> CommitNews {
        let after = |text: &str| PolicyChange { before: vec![None], after: Some(text.to_owned()) };
        let policy = policy.map(after);
        CommitNews {
            id: "3f2a91c0d5e6f708192a3b4c5d6e7f8091a2b3c4".parse().unwrap(),
            parents: vec![ACCEPTED.parse().unwrap()],
            evidence: Evidence::Unsigned,
            approvals,
            trailers: Vec::new(),
            is_empty: false,
            policy,
        }
    }

    #[test]
    fn trailers_say_what_documents_say_and_count_on_empty_commits() {
        let value = "web 3f2a91c0d5e6f708192a3b4c5d6e7f8091a2b3c4 canary BeforeStage";
        for (key, value, is_empty, problem) in [
            ("Tidegate-Approve", value, true, None),
            ("tidegate-reject", value, true, None),
            ("Tidegate-Approve", value, false, Some("counts on an empty commit")),
            ("Tidegate-Approve", "web canary", true, Some("expected ROLLOUT COMMIT")),
        ] {
            let said = Said::in_trailer(key, value, is_empty).unwrap();
            assert_eq!(said.words[0], "web");
            match (said.approval, problem) {
                (Ok(approval), None) => assert_eq!(approval.stage, "canary"),
                (Err(error), Some(problem)) => {
                    assert!(error.to_string().contains(problem), "{error}")
                }
                (approval, problem) => panic!("{key}: {approval:?}, not {problem:?}"),
            }
        }
        assert!(Said::in_trailer("Signed-off-by", value, true).is_none());
        let mut news = commit(Vec::new(), None);
        news.trailers = vec![("Tidegate-Approve".into(), value.into())];
        news.is_empty = true;
        let nobody = Policy { signers: Some(AllowedSigners::default()), ..Policy::default() };
        let (found, _) = judged(news, nobody);
        assert_eq!(found[0].rollout, "web");
        assert_eq!(found[0].path, "trailer Tidegate-Approve");
        assert_eq!(found[0].decision, "Approve");
        assert_eq!(found[0].reason.as_deref(), Some("ApprovalUnsigned"));
    }

    fn judged(news: CommitNews, policy: Policy) -> (Vec<ApprovalRecord>, Policy) {
        read_news(&ACCEPTED.parse().unwrap(), &[news], policy, Timestamp::UNIX_EPOCH)
    }

    fn approval() -> ApprovalDocument {
        let value = json!({"apiVersion": "gitops.tidegate.dev/v1alpha1", "kind": "Approval", "metadata": {"name": "a"},
            "spec": {"rollout": "web", "commit": "3f2a91c0d5e6f708192a3b4c5d6e7f8091a2b3c4", "stage": "canary",
                     "task": "BeforeStage", "decision": "Approve"}});
        ApprovalDocument { path: "approvals/a.yaml".into(), value, problem: None }
    }

    #[test]
    fn without_a_policy_or_a_signature_nothing_counts() {
        let signers = AllowedSigners::default();
        for (policy, want) in [
            (Policy::default(), "ApprovalNoPolicy"),
            (Policy { signers: Some(signers), ..Policy::default() }, "ApprovalUnsigned"),
        ] {
            let (found, _) = judged(commit(vec![approval()], None), policy);
            assert_eq!(found[0].rollout, "web");
            assert_eq!(found[0].state, APPROVAL_REFUSED);
            assert_eq!(found[0].reason.as_deref(), Some(want));
            assert_eq!(found[0].by, None);
        }
    }

    #[test]
    fn an_unsigned_policy_does_not_count() {
        let before = Policy { signers: Some(AllowedSigners::default()), ..Policy::default() };
        for (before, why) in [(before, "not signed"), (Policy::default(), LOCKED_OUT)] {
            let (found, after) = judged(commit(Vec::new(), Some("# nobody\n")), before.clone());
            assert_eq!(after, before);
            assert_eq!(found[0].reason.as_deref(), Some(POLICY_REFUSED));
            assert_eq!(found[0].rollout, "");
            let message = found[0].message.clone().unwrap_or_default();
            assert!(message.contains(why), "{message}");
        }
    }
}
