//! The engine on our own API servers, in process: a hub and its members, and nothing else.

mod content;
mod killed;
mod placed;
mod scale;
mod trace;
mod turn;
mod tutorial;
mod world;
