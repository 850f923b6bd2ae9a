//! Fleet's kinds, and ours, exactly as on the wire.
//!
//! Types here keep the wire's shapes: strings stay strings, absent stays absent. Meaning starts where a pure module
//! parses them. Cluster-scoped and namespaced kinds share one type; which kind it is says the [`Kind`] at hand.
//! Field meanings: fleet-semantics §2. Condition types and reasons are constants beside their kind, equal to Fleet's
//! byte for byte (§5.7, §6, §7).

pub mod approval;
pub mod binding;
pub mod condition;
pub mod crd;
pub mod kind;
pub mod member;
pub mod meta;
pub mod placement;
pub mod reference;
pub mod rollout;
pub mod run;
pub mod snapshot;
pub mod source;
pub mod strategy;
pub mod work;

pub use approval::ApprovalRequest;
pub use binding::Binding;
pub use kind::Kind;
pub use member::MemberCluster;
pub use placement::Placement;
pub use rollout::Rollout;
pub use run::Run;
pub use snapshot::{PolicySnapshot, ResourceSnapshot};
pub use source::Source;
pub use strategy::Strategy;
pub use work::{AppliedWork, Work};
