//! The engine as a program of its own, on hubs that it knows only by a kubeconfig.

mod engine;
mod fleet;
mod install;
mod join;
mod real;
mod rights;
mod world;
