//! The engine on our own API servers, in process: a hub and its members, and nothing else.

mod content;
mod placed;
mod scale;
mod trace;
mod tutorial;
mod world;
