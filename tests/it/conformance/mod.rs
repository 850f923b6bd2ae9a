//! The embedded API server held against the real one: the same requests, and what differs in the answers.
//!
//! Cases are text, in `cases`; [`script`] has their language. A case that is known to differ says so, and fails when it
//! no longer does; `docs/reference/embedded-hub.md` lists them all.

mod chapters;
mod commands;
mod expired;
mod generated;
mod harness;
mod normal;
mod play;
mod script;
mod target;
