//! The one integration binary: a second binary is a second link.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, clippy::print_stderr)]

mod api;
mod apiserver;
mod cli;
mod conformance;
mod daemon;
mod engine;
mod git;
mod plain;
mod rollout;
mod support;
mod tidy;
