//! Bytes of a repository to objects: read, checked, ordered, digested.
//!
//! Nothing here knows what a Rollout is, and nothing guesses: a file that cannot be read is an error with its place,
//! never a file with fewer objects in it.

pub mod canonical;
pub mod decode;
pub mod limit;
pub mod locate;
pub mod object;
pub mod order;
pub mod place;
pub mod set;

pub use canonical::digest;
pub use decode::{DecodeError, Document, decode};
pub use limit::{Limits, Usage};
pub use locate::locate;
pub use object::{Manifest, ObjectError, manifests};
pub use order::apply_order;
pub use place::Place;
pub use set::{Duplicate, duplicates};
