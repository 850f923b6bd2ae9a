//! Our own small nouns, each checked once, at its door.
//!
//! Plain data: no clock, no client, no async. A value of one of these types is known to be well formed; text that is
//! not yet checked stays a `String`.

pub mod age;
pub mod amount;
pub mod commit;
pub mod digest;
pub mod distance;
pub mod duration;
pub mod hint;
pub mod object;
pub mod scope;
pub mod snapshot;

pub use age::human_age;
pub use amount::MaxConcurrency;
pub use commit::CommitId;
pub use digest::Digest;
pub use distance::distance;
pub use duration::GoDuration;
pub use hint::Hint;
pub use object::{ObjectKey, ObjectName};
pub use scope::Scope;
pub use snapshot::SnapshotIndex;
