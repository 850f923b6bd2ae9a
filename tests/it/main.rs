//! The one integration binary: a second binary is a second link.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, clippy::print_stderr)]

mod any_hub;
mod api;
mod apiserver;
mod cli;
mod conformance;
mod daemon;
mod engine;
mod git;
mod rollout;
mod support;
mod tidy;
