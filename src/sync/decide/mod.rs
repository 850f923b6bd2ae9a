//! The pass itself: one judgement after the other, until one of them orders something.
//!
//! ```text
//! accept -> rendered -> write_rollout -> suspend -> goal -> apply -> bind -> release -> again -> create
//!                                                                           \-> drive -> start, guard
//! ```
//!
//! [`desk`] calls them in this order. Each either goes on, or halts with the sentence that the Rollout then shows.

mod accept;
mod again;
mod apply;
mod bind;
mod desk;
mod drive;
mod failure;
#[cfg(test)]
mod fixture;
mod pin;
mod release;
mod suspend;

use jiff::SignedDuration;

pub use accept::{ACCEPT, SPEC_DIGEST};
pub use desk::decide;

/// What is being scheduled or written is looked at again after so long, should no watch tell.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_secs(10);
