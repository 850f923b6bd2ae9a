//! Shared test furniture: worlds, repositories, processes, transcripts, waiting on conditions.
#![allow(dead_code)]

pub mod git_server;
pub mod hub;
pub mod kubernetes;
pub mod process;
pub mod repository;
pub mod transcript;
pub mod watchdog;
pub mod wire;
