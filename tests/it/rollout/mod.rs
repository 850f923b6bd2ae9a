//! The state machine of staged update runs, run on a world in memory.

mod controller;
mod replay;
mod rows;
mod scenario;
mod simulation;
mod world;
