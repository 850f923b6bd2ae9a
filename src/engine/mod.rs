//! Controllers that execute Fleet's semantics: gather, decide, carry out, record.
//!
//! A controller is a [`queue`](queue::Queue) of keys and a reconciliation. Changes in a
//! [`collection`](collection::Collection) put keys into queues; nothing polls what can be watched. What to do is
//! judged in [`crate::placement`] and [`crate::rollout`]; this room gathers what they need, carries out what they want,
//! and records what they say.
//!
//! Each controller's file has the same two functions: `subscribe(&Arc<Context>) -> Arc<Queue<Key>>` listens to the
//! collections it depends on, and `async reconcile(Arc<Context>, Key) -> Result<Again, EngineError>` looks at one key.

pub mod capture;
pub mod collection;
pub mod context;
pub mod error;
mod order;
pub mod queue;
pub mod update_run;

pub use collection::{Change, Collection, Key};
pub use context::{Context, Members, Options, SnapshotMode};
pub use error::EngineError;
pub use queue::{Again, Queue};
