//! The engine as a program of its own, on hubs that it knows only by a kubeconfig.
//!
//! Tests run by the alphabet, and the longest of all are here: they come first, so that they end with the others.

mod engine;
mod fleet;
mod install;
mod join;
mod real;
mod rights;
mod world;
