//! The whole line: real git repositories, the embedded hub and members, the engine, and the daemon.

mod approve;
mod attack;
mod cost;
mod drift;
mod failure;
mod fault;
mod killed;
mod namespaced;
mod owner;
mod release;
mod source;
mod stage;
