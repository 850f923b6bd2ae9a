//! The API server, as clients of Kubernetes see it.

mod access;
mod client;
mod controllers;
mod crash;
mod crd_rules;
mod full;
mod furnished;
mod kubectl;
mod kubectl_pods;
mod listen;
mod page;
mod request;
mod runtime;
pub mod served;
mod token;
