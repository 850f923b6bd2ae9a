//! A small Kubernetes API server. Knows Kubernetes, not Fleet.
//!
//! [`ApiServer`] is a tower service: a kube client takes it in process, [`listen`] puts it on a socket. What arrives is
//! routed to a verb on a resource; verbs read and write untyped objects through pure siblings (schemas, patches, field
//! ownership, selectors, admission) and one [store](Options::store); what must happen later to an object, such as the
//! end of its namespace, is the work of `lifecycle`, woken by what was stored. It refuses to be a cluster: pods and
//! nodes are objects like others, of which none runs, and who has the one token may do everything, also in the name of
//! others. Service accounts have tokens of their own, and may do what their roles say.

mod accept;
mod access;
mod answer;
mod authenticate;
mod body;
pub mod builtin;
mod decode;
mod document;
mod failure;
pub mod field;
mod grant;
mod json;
mod lifecycle;
pub mod listen;
mod object;
mod options;
pub mod patch;
mod policy;
mod private_file;
mod query;
mod registry;
mod route;
pub mod schema;
pub mod selector;
mod server;
mod signing;
mod store;
mod user;
mod verb;
mod yaml;

#[cfg(test)]
mod testing;

pub use self::{
    body::Body,
    options::{OpenError, Options, StoreKind},
    server::ApiServer,
    signing::KeyError,
    store::StoreError,
};
