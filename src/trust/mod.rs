//! May this commit release, may this approval count? Pure judgement over evidence.
//!
//! A verdict never depends on the commit that is judged: who may approve is read from the last commit that was accepted
//! before it. A person is who signed, never what a file claims. Times are when we first saw a commit, not the times that
//! its author chose. Formats: `docs/reference/approvals.md`.

pub mod allowed_signers;
pub mod approval;
mod certificate;
pub mod evidence;
pub mod refusal;
pub mod ssh;
pub mod trailer;

pub use allowed_signers::{AllowedSigners, InvalidSigners};
pub use approval::{Approval, Decision, Gate, InvalidApproval, Task, Verdict, judge};
pub use evidence::Evidence;
pub use refusal::Refusal;
pub use ssh::Signer;

/// Who may approve, in the repository; OpenSSH's `allowed_signers` format.
pub const ALLOWED_SIGNERS_PATH: &str = "policy/allowed_signers";
