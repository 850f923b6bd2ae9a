//! The whole line: real git repositories, the embedded hub and members, the engine, and the daemon.

mod approve;
mod attack;
mod calls;
mod cost;
mod drift;
mod failure;
mod fault;
mod namespaced;
mod release;
mod stage;
