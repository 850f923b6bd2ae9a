//! Why an approval does not count: one word and one sentence each.

use jiff::Timestamp;

use crate::model::Hint;

/// Why a signature or an approval does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The commit has no signature.
    #[error("the commit is not signed")]
    Unsigned,
    /// The signature is of a kind that is not judged here.
    #[error("the commit is signed in a format that is not supported: {format}")]
    UnsupportedFormat {
        /// The format.
        format: String,
    },
    /// The signature cannot be read.
    #[error("the signature cannot be read: {reason}")]
    Unreadable {
        /// Why.
        reason: String,
    },
    /// The signature is not of these bytes.
    #[error(
        "the signature by `{fingerprint}` does not fit the commit: it was changed after it was signed, or forged"
    )]
    BadSignature {
        /// The key that it claims.
        fingerprint: String,
    },
    /// The signature was made for something else.
    #[error("the signature was made for `{found}`, not for `{wanted}`")]
    WrongNamespace {
        /// What for.
        found: String,
        /// What it should be for.
        wanted: String,
    },
    /// Nobody who may approve has this key.
    #[error("the key `{fingerprint}` belongs to nobody in `policy/allowed_signers`")]
    UnknownKey {
        /// The key.
        fingerprint: String,
    },
    /// The key is not valid now.
    #[error("the key `{fingerprint}` of `{principal}` is not valid at {at}")]
    KeyNotValid {
        /// The key.
        fingerprint: String,
        /// Whose it is.
        principal: String,
        /// When we first saw the commit.
        at: Timestamp,
    },
    /// There is no policy to judge by.
    #[error(
        "nobody may approve yet: there is no `policy/allowed_signers` in the last accepted commit"
    )]
    NoPolicy,
    /// For another rollout.
    #[error("the approval is for rollout `{found}`, not for `{wanted}`")]
    OtherRollout {
        /// Which it names.
        found: String,
        /// Which waits.
        wanted: String,
    },
    /// For the run of another commit.
    #[error("the approval is for commit {found}, and the run is of {wanted}")]
    OtherCommit {
        /// Which it names.
        found: String,
        /// Which is rolled out.
        wanted: String,
    },
    /// For a stage that the run does not have.
    #[error("the run has no stage `{stage}`")]
    UnknownStage {
        /// Which it names.
        stage: String,
    },
    /// For a gate that the stage does not have.
    #[error("stage `{stage}` asks for no approval {task} it")]
    UnknownTask {
        /// The stage.
        stage: String,
        /// `before` or `after`.
        task: &'static str,
    },
    /// Too late.
    #[error("the approval expired at {expires}")]
    Expired {
        /// When.
        expires: Timestamp,
    },
    /// For another plan.
    #[error("the approval is for plan {found}, and the run's plan is {wanted}")]
    OtherPlan {
        /// Which it names.
        found: String,
        /// Which runs.
        wanted: String,
    },
    /// For a plan, and the run has none to compare.
    #[error("the approval is for plan {found}, and the run's plan is not known")]
    PlanUnknown {
        /// Which it names.
        found: String,
    },
    /// Counted already.
    #[error("the approval was used already, for run `{run}`")]
    AlreadyUsed {
        /// For which run.
        run: String,
    },
}

impl Refusal {
    /// Returns a word for machines, distinct for every reason.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Unsigned => "ApprovalUnsigned",
            Self::UnsupportedFormat { .. } => "ApprovalSignatureUnsupported",
            Self::Unreadable { .. } => "ApprovalSignatureUnreadable",
            Self::BadSignature { .. } => "ApprovalSignatureBad",
            Self::WrongNamespace { .. } => "ApprovalSignatureNamespace",
            Self::UnknownKey { .. } => "ApprovalKeyUnknown",
            Self::KeyNotValid { .. } => "ApprovalKeyNotValid",
            Self::NoPolicy => "ApprovalNoPolicy",
            Self::OtherRollout { .. } => "ApprovalOtherRollout",
            Self::OtherCommit { .. } => "ApprovalOtherCommit",
            Self::UnknownStage { .. } => "ApprovalUnknownStage",
            Self::UnknownTask { .. } => "ApprovalUnknownTask",
            Self::Expired { .. } => "ApprovalExpired",
            Self::OtherPlan { .. } => "ApprovalOtherPlan",
            Self::PlanUnknown { .. } => "ApprovalPlanUnknown",
            Self::AlreadyUsed { .. } => "ApprovalAlreadyUsed",
        }
    }
}

impl Hint for Refusal {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Unsigned => "commit it again with `git commit -S`; a squash drops signatures, and so does a rebase without --gpg-sign".to_owned(),
            Self::UnsupportedFormat { .. } => "sign with an SSH key: `git config gpg.format ssh`".to_owned(),
            Self::UnknownKey { .. } | Self::NoPolicy => {
                "add the person and the key to `policy/allowed_signers`, in a commit before the approval".to_owned()
            }
            Self::OtherCommit { wanted, .. } => format!("approve {wanted} instead"),
            Self::Expired { .. } | Self::OtherPlan { .. } | Self::AlreadyUsed { .. } => "approve again".to_owned(),
            _ => return None,
        })
    }
}
