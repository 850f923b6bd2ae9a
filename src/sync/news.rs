//! New commits: the approvals they bring, and the policy they leave in force.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::Value;

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
    /// Its signature.
    pub evidence: Evidence,
    /// Documents of kind Approval, new or changed, with their files.
    pub approvals: Vec<(String, Value)>,
    /// Trailers of its message that approve or reject, key and value.
    pub trailers: Vec<(String, String)>,
    /// Whether it changes no file: only then its trailers count, for a change has other readers than an approval.
    pub is_empty: bool,
    /// The new text of the policy, if it changed: nothing when it was deleted.
    pub policy: Option<Option<String>>,
}

/// Who may approve.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Policy {
    /// The commit it was read from; nothing when it was configured.
    pub commit: Option<CommitId>,
    /// The people; nothing when there is no policy.
    pub signers: Option<AllowedSigners>,
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

/// Judges the signatures of new commits, oldest first.
///
/// Each commit is judged by the policy in force before it. A commit that changes the policy counts only when somebody who
/// may approve signed it; otherwise the policy in force stays.
pub fn read_news(
    commits: &[CommitNews],
    mut policy: Policy,
    now: Timestamp,
) -> (Vec<ApprovalRecord>, Policy) {
    let mut found = Vec::new();
    for commit in commits {
        let verify = || match &policy.signers {
            None => Err(Refusal::NoPolicy),
            Some(signers) => ssh::verify(&commit.evidence, signers, now),
        };
        for (path, document) in &commit.approvals {
            found.push(record(commit, path, Said::in_document(document), verify()));
        }
        for (key, value) in &commit.trailers {
            if let Some(said) = Said::in_trailer(key, value, commit.is_empty) {
                found.push(record(commit, &format!("trailer {key}"), said, verify()));
            }
        }
        let Some(text) = &commit.policy else { continue };
        let refused = |refusal: Refusal| match refusal {
            Refusal::NoPolicy => LOCKED_OUT.to_owned(),
            refusal => describe(&refusal),
        };
        let changed = verify().map_err(refused).and_then(|_| {
            let text = text.as_deref().ok_or("it deletes the policy")?;
            let signers = AllowedSigners::parse(text, ALLOWED_SIGNERS_PATH)
                .map_err(|error| error.to_string())?;
            match signers.entries().is_empty() {
                true => Err("it names nobody, and nobody could change that again".to_owned()),
                false => Ok(signers),
            }
        });
        match changed {
            Ok(signers) => {
                policy = Policy { commit: Some(commit.id.clone()), signers: Some(signers) };
            }
            Err(why) => found.push(ApprovalRecord {
                commit: commit.id.to_string(),
                path: ALLOWED_SIGNERS_PATH.to_owned(),
                state: APPROVAL_REFUSED.to_owned(),
                reason: Some(POLICY_REFUSED.to_owned()),
                message: Some(format!(
                    "the policy of commit {} does not count, and what was in force before stays so: {why}",
                    commit.id.short()
                )),
                ..ApprovalRecord::default()
            }),
        }
    }
    (found, policy)
}

/// What somebody wrote, and what it means.
struct Said {
    /// The words for Rollout, commit, stage, task and decision, as far as there are any.
    words: [String; 5],
    approval: Result<Approval, InvalidApproval>,
}

impl Said {
    fn in_document(document: &Value) -> Self {
        let word = |field| document["spec"][field].as_str().map(bounded).unwrap_or_default();
        let words = ["rollout", "commit", "stage", "task", "decision"].map(word);
        Self { words, approval: Approval::read(document) }
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
            4 => key.rsplit('-').next().map(bounded).unwrap_or_default(),
            _ => said.next().map(bounded).unwrap_or_default(),
        });
        Some(Self { words, approval })
    }
}

/// A name of Kubernetes has no more characters.
fn bounded(text: &str) -> String {
    text.chars().take(253).collect()
}

fn record(
    commit: &CommitNews,
    path: &str,
    said: Said,
    signer: Result<ssh::Signer, Refusal>,
) -> ApprovalRecord {
    let [rollout, target, stage, task, decision] = said.words;
    let mut record = ApprovalRecord {
        commit: commit.id.to_string(),
        path: path.to_owned(),
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
        record.message = Some(message);
    };
    match signer {
        Err(refusal) => {
            let message = format!("{path} in commit {}: {}", commit.id.short(), describe(&refusal));
            refuse(&mut record, refusal.reason(), message);
        }
        Ok(signer) => {
            record.by = Some(signer.principal);
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

    fn commit(approvals: Vec<(String, Value)>, policy: Option<Option<String>>) -> CommitNews {
        CommitNews {
            id: "3f2a91c0d5e6f708192a3b4c5d6e7f8091a2b3c4".parse().unwrap(),
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
        let nobody = Policy { commit: None, signers: Some(AllowedSigners::default()) };
        let (found, _) = read_news(&[news], nobody, Timestamp::UNIX_EPOCH);
        assert_eq!(found[0].rollout, "web");
        assert_eq!(found[0].path, "trailer Tidegate-Approve");
        assert_eq!(found[0].decision, "Approve");
        assert_eq!(found[0].reason.as_deref(), Some("ApprovalUnsigned"));
    }

    fn approval() -> (String, Value) {
        let document = json!({"apiVersion": "gitops.tidegate.dev/v1alpha1", "kind": "Approval", "metadata": {"name": "a"},
            "spec": {"rollout": "web", "commit": "3f2a91c0d5e6f708192a3b4c5d6e7f8091a2b3c4", "stage": "canary",
                     "task": "BeforeStage", "decision": "Approve"}});
        ("approvals/a.yaml".into(), document)
    }

    #[test]
    fn without_a_policy_or_a_signature_nothing_counts() {
        let signers = AllowedSigners::default();
        for (policy, want) in [
            (Policy::default(), "ApprovalNoPolicy"),
            (Policy { commit: None, signers: Some(signers) }, "ApprovalUnsigned"),
        ] {
            let (found, _) =
                read_news(&[commit(vec![approval()], None)], policy, Timestamp::UNIX_EPOCH);
            assert_eq!(found[0].rollout, "web");
            assert_eq!(found[0].state, APPROVAL_REFUSED);
            assert_eq!(found[0].reason.as_deref(), Some(want));
            assert_eq!(found[0].by, None);
        }
    }

    #[test]
    fn an_unsigned_policy_does_not_count() {
        let before = Policy { commit: None, signers: Some(AllowedSigners::default()) };
        for (before, why) in [(before, "not signed"), (Policy::default(), LOCKED_OUT)] {
            let news = commit(Vec::new(), Some(Some("# nobody\n".into())));
            let (found, after) = read_news(&[news], before.clone(), Timestamp::UNIX_EPOCH);
            assert_eq!(after, before);
            assert_eq!(found[0].reason.as_deref(), Some(POLICY_REFUSED));
            assert_eq!(found[0].rollout, "");
            let message = found[0].message.clone().unwrap_or_default();
            assert!(message.contains(why), "{message}");
        }
    }
}
