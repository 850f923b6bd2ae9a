//! One view of a run over both scopes.

use jiff::Timestamp;

use crate::{
    api::{
        self, meta,
        run::{RunSpec, RunStatus, STATE_INITIALIZE},
    },
    model::Scope,
};

/// A staged update run as the state machine sees it.
#[derive(Clone, Debug)]
pub struct Run<'a> {
    /// Where the run and everything it names live.
    pub scope: Scope,
    /// `metadata.name`.
    pub name: &'a str,
    /// `metadata.generation`; stamped on every condition.
    pub generation: i64,
    /// `metadata.creationTimestamp`, if the run was read from a hub.
    pub created: Option<Timestamp>,
    /// Whether `metadata.deletionTimestamp` is set.
    pub deleting: bool,
    /// Whether our finalizer is on it.
    pub finalized: bool,
    /// What is asked for.
    pub spec: &'a RunSpec,
    /// Where the run is; nothing before its first write.
    pub status: Option<&'a RunStatus>,
}

impl<'a> From<&'a api::Run> for Run<'a> {
    fn from(run: &'a api::Run) -> Self {
        let metadata = &run.metadata;
        Self {
            scope: Scope::of(metadata.namespace.as_deref()),
            name: metadata.name.as_deref().unwrap_or_default(),
            generation: metadata.generation.unwrap_or_default(),
            created: metadata.creation_timestamp.as_ref().map(|time| time.0),
            deleting: metadata.deletion_timestamp.is_some(),
            finalized: metadata.finalizers.iter().flatten().any(|f| f == meta::RUN_FINALIZER),
            spec: &run.spec,
            status: run.status.as_ref(),
        }
    }
}

impl Run<'_> {
    /// Returns the requested state, defaulted.
    pub fn state(&self) -> &str {
        self.spec.state.as_deref().unwrap_or(STATE_INITIALIZE)
    }

    /// Returns the index that is asked for, or nothing when the content is to be captured.
    pub fn index(&self) -> Option<&str> {
        self.spec.resource_snapshot_index.as_deref().filter(|index| !index.is_empty())
    }

    /// Returns the placement's key as messages print it.
    pub fn placement_key(&self) -> String {
        self.scope.key(&self.spec.placement_name)
    }
}
