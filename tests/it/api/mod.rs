//! Fleet's kinds against what real KubeFleet wrote.

mod definitions;
mod example;
mod hub;
mod reference;
mod rollout;
mod trace;
