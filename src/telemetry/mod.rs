//! Logs.
//!
//! Spans carry identity, events carry what happened as fields. Decisions are logged by the shell from what judgement
//! returned; judgement is silent. Everything goes to stderr: stdout is data.

pub mod log;
