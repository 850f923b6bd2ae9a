//! File, environment and flags to one checked configuration.
//!
//! Flags win over the file, the file over defaults. Nothing here opens a connection.

mod file;
mod settings;

pub use file::{InvalidConfig, read};
pub use settings::{
    DEFAULT_POLL_INTERVAL, DEFAULT_REFERENCE, Daemon, Engine, Repository, UnknownEngine,
};
