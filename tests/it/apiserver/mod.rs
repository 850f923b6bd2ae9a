//! The API server, as clients of Kubernetes see it.

mod client;
mod crd_rules;
