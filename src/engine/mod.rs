//! Controllers that execute Fleet's semantics: gather, decide, carry out, record.
//!
//! A controller is a [`queue`](queue::Queue) of keys and a reconciliation. Changes in a
//! [`collection`](collection::Collection) put keys into queues; nothing polls what can be watched. What to do is
//! judged in [`crate::placement`] and [`crate::rollout`]; this room gathers what they need, carries out what they want,
//! and records what they say.
//!
//! Each controller's file has the same two functions: `subscribe(&Arc<Context>) -> Arc<Queue<Key>>` listens to the
//! collections it depends on, and `async reconcile(Arc<Context>, Key) -> Result<Again, EngineError>` looks at one key.

mod agent;
mod agents;
pub mod binding;
pub mod capture;
pub mod collection;
mod content;
pub mod context;
pub mod error;
mod event;
mod execute;
mod lead;
pub mod member;
mod members;
mod order;
pub mod placement;
mod preflight;
pub mod queue;
pub mod rolling_update;
mod roster;
pub mod run;
pub mod scheduler;
pub mod status;
pub mod update_run;
pub mod work;

pub use collection::{Change, Collection, Key};
pub use context::{Context, Options, SnapshotMode};
pub use error::EngineError;
pub use execute::{execute, run_with_joined};
pub use lead::{ENGINE_LEASE, Election, lead};
pub use members::{Members, Trouble};
pub use preflight::{Presence, Unfit, check_hub, presence};
pub use queue::{Again, Queue};
pub use run::run;
