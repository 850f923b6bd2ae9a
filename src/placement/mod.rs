//! What Fleet's hub agent and member agent decide: selection, snapshots, scheduling, works, how members apply, and
//! what the statuses say. Pure: objects and a time go in, objects and plans come out.

pub mod canonical;
pub mod exclude;
pub mod order;
pub mod plan;
pub mod policy;
pub mod prune;
pub mod select;
pub mod snapshot;

pub use canonical::hash;
pub use order::order;
pub use plan::Plan;
pub use prune::prune;
