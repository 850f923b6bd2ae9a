//! A small Kubernetes API server. Knows Kubernetes, not Fleet.

pub mod builtin;
pub mod field;
pub mod patch;
pub mod schema;
pub mod selector;

#[cfg(test)]
mod testing;
