//! The daemon: repositories to Rollouts to the hub. It gathers, lets [`crate::sync`] decide, carries out, and records.
//!
//! One task follows each repository; one [`Queue`](crate::engine::Queue) works on Rollouts, each on its own, so that a bad
//! one never delays a good one. Watches wake it; nothing polls the hub. All state is on the hub: the Rollouts' statuses,
//! and annotations on runs.

mod apply;
mod carry;
mod checkout;
mod drift;
mod earlier;
mod error;
mod follow;
mod gather;
mod history;
mod marks;
mod owner;
mod reconcile;
mod report;
mod source;
mod start;
mod world;

pub use error::DaemonError;
pub use source::{FirstPolicy, Options, Source};
pub use start::run;
