//! The pass itself: one judgement after the other, until one of them orders something.
//!
//! ```text
//! accept -> rendered -> write_rollout -> suspend -> single -> goal -> resume -> guard -> apply -> bind -> release
//! release -> drive -> start
//!        \-> again? -> make -> check_strategy -> create
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
mod judge;
mod pin;
mod preflight;
mod release;
mod single;
mod suspend;

use jiff::SignedDuration;

pub use accept::{ACCEPT, UNREAD_SINCE};
pub use desk::decide;

/// What is being scheduled or written is looked at again after so long, should no watch tell.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_secs(10);
