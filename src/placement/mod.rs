//! What Fleet's hub agent and member agent decide: selection, snapshots, scheduling, works, how members apply, and
//! what the statuses say. Pure: objects and a time go in, objects and plans come out.

pub mod apply;
pub mod availability;
pub mod binding;
pub mod canonical;
pub mod compare;
pub mod eligible;
pub mod exclude;
pub mod merge;
pub mod order;
pub mod plan;
pub mod policy;
pub mod prune;
pub mod report;
pub mod rolling;
pub mod schedule;
pub mod select;
pub mod snapshot;
pub mod status;
pub mod wave;
pub mod work;
pub mod works;

pub use canonical::hash;
pub use order::order;
pub use plan::Plan;
pub use prune::prune;
