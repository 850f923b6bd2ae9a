//! Shared test furniture: worlds, repositories, processes, transcripts, waiting on conditions.
#![allow(dead_code)]

pub mod hub;
pub mod process;
pub mod repository;
pub mod transcript;
