//! Tidegate: GitOps for staged, multi-cluster rollouts.
//!
//! The daemon follows a Git repository, puts each commit's manifests on a Fleet hub, learns which *resource snapshot
//! index* they became, and drives a *staged update run* for that index. See `docs/architecture.md` for the house tour.

// Ground: words.
pub mod api;
pub mod model;

// First floor: judgement. Pure functions; `now` is an argument.
pub mod manifest;
pub mod placement;
pub mod release;
pub mod render;
pub mod rollout;
pub mod sync;
pub mod trust;

// Beside: hands. Each touches one outside world; none decides.
pub mod apiserver;
pub mod clock;
pub mod git;
pub mod hub;

// Second floor: controllers.
pub mod engine;

// Top: shell.
pub mod cli;
pub mod config;
pub mod daemon;
pub mod local;
pub mod telemetry;
