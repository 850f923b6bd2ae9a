//! Hands on Git (gix): mirror, commits, trees, signature evidence, watching a local repository.
//!
//! Translates and classifies; never decides what a commit may do. Blocking: callers run it off the async threads. Nothing
//! of the machine's or the user's git configuration applies, nothing prompts, and no hook runs.

mod ask;
pub mod commit;
pub mod error;
pub mod history;
mod https;
pub mod mirror;
pub mod remote;
pub mod repository;
pub mod tree;
pub mod watch;

pub use commit::Commit;
pub use error::{Class, GitError};
pub use history::Relation;
pub use remote::Remote;
pub use repository::{Poll, Repository};
pub use tree::{File, Limits};
