//! Approvals as trailers of a commit's message: `Tidegate-Approve: web 3f2c9d… canary BeforeStage [sha256:…]`.

use std::str::FromStr;

use super::approval::{Approval, Decision, InvalidApproval, Task};
use crate::model::{CommitId, Digest};

/// Key of a trailer that approves.
pub const APPROVE: &str = "Tidegate-Approve";
/// Key of a trailer that rejects.
pub const REJECT: &str = "Tidegate-Reject";

/// Returns whether trailers of this key approve or reject.
pub fn is_approval(key: &str) -> bool {
    decision(key).is_some()
}

/// Keys are compared as git does: without regard to case.
fn decision(key: &str) -> Option<Decision> {
    if key.eq_ignore_ascii_case(APPROVE) {
        Some(Decision::Approve)
    } else if key.eq_ignore_ascii_case(REJECT) {
        Some(Decision::Reject)
    } else {
        None
    }
}

impl Approval {
    /// Reads a trailer; nothing when its key is another's.
    pub fn from_trailer(key: &str, value: &str) -> Option<Result<Self, InvalidApproval>> {
        let decision = decision(key)?;
        Some(read(decision, value).map_err(|problem| InvalidApproval { problem }))
    }
}

fn read(decision: Decision, value: &str) -> Result<Approval, String> {
    let words: Vec<&str> = value.split_ascii_whitespace().take(6).collect();
    let (rollout, commit, stage, task, plan) = match words[..] {
        [rollout, commit, stage, task] => (rollout, commit, stage, task, None),
        [rollout, commit, stage, task, plan] => (rollout, commit, stage, task, Some(plan)),
        _ => return Err("expected ROLLOUT COMMIT STAGE TASK [PLAN]".to_owned()),
    };
    Ok(Approval {
        rollout: rollout.to_owned(),
        commit: CommitId::from_str(commit).map_err(|error| error.to_string())?,
        stage: stage.to_owned(),
        task: Task::from_str(task).map_err(str::to_owned)?,
        decision,
        plan: plan.map(Digest::from_str).transpose().map_err(|error| error.to_string())?,
        expires: None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const COMMIT: &str = "3f2a91c0d5e6f708192a3b4c5d6e7f8091a2b3c4";

    #[test]
    fn a_trailer_says_what_a_document_says() {
        let value = format!("team/web {COMMIT}  canary BeforeStage {}", Digest::of(b"plan"));
        let approval = Approval::from_trailer("tidegate-approve", &value).unwrap().unwrap();
        assert_eq!((approval.rollout.as_str(), approval.stage.as_str()), ("team/web", "canary"));
        assert_eq!((approval.task, approval.decision), (Task::BeforeStage, Decision::Approve));
        assert_eq!(approval.plan, Some(Digest::of(b"plan")));
        let value = format!("web {COMMIT} canary AfterStage");
        let rejection = Approval::from_trailer(REJECT, &value).unwrap().unwrap();
        assert_eq!((rejection.decision, rejection.plan), (Decision::Reject, None));
        assert_eq!(Approval::from_trailer("Signed-off-by", &value), None);
    }

    #[test]
    fn what_is_missing_or_too_much_is_refused() {
        for (value, part) in [
            ("", "expected ROLLOUT"),
            ("web 3f2a91c0 canary BeforeStage", "not a full commit id"),
            (&format!("web {COMMIT} canary"), "expected ROLLOUT"),
            (&format!("web {COMMIT} canary Sometime"), "expected BeforeStage"),
            (&format!("web {COMMIT} canary BeforeStage plan"), "plan"),
            (&format!("web {COMMIT} canary BeforeStage sha256:0 more"), "expected ROLLOUT"),
        ] {
            let error = Approval::from_trailer(APPROVE, value).unwrap().unwrap_err().to_string();
            assert!(error.contains(part), "{value}: {error}");
        }
    }

    proptest! {
        #![proptest_config(crate::properties::config())]

        #[test]
        fn no_value_panics(value in ".*") {
            let _ = Approval::from_trailer(APPROVE, &value);
        }
    }
}
