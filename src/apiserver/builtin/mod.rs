//! What a Kubernetes API server knows about its own kinds, and how a CustomResourceDefinition becomes one more.
//!
//! Everything here is a function of JSON values: nothing stores, listens or reads a clock. A [`ResourceDefinition`] says
//! what is served under one group, version and plural; the modules beside it answer for the parts of a request that
//! depend on the kind: admission, tables, protobuf bodies, discovery and OpenAPI documents.

pub mod admission;
pub(super) mod autoscaler;
mod catalog;
pub mod convert;
mod crd;
mod definition;
pub mod discovery;
pub mod openapi;
pub mod openapi_v2;
pub mod protobuf;
pub(crate) mod quota;
mod selectable;
pub mod table;
mod types;
pub(super) mod value;
mod version;

pub use self::{
    catalog::{catalog, token_request},
    crd::from_crd,
    definition::{ResourceDefinition, Scale, SchemaCell, Verb},
    selectable::selectable,
    version::compare_versions,
};
