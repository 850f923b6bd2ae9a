//! What a pass decides.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use crate::{
    api::{
        rollout::{InventoryEntry, RolloutStatus},
        run::{STATE_RUN, STATE_STOP},
    },
    model::{Digest, ObjectKey},
    release::ledger::STOPPED_BY,
};

/// What to record, and what to do.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct Pass {
    /// What is so. Written before the orders are carried out.
    pub status: RolloutStatus,
    /// The next steps. After them, the Rollout is looked at again.
    pub orders: Vec<Order>,
    /// When to look again if nothing happens.
    pub wake: Option<Timestamp>,
}

/// One step. Every one may be repeated, and may fail.
#[derive(Clone, Debug, PartialEq)]
pub enum Order {
    /// Write the Rollout itself.
    WriteRollout(Value),
    /// Bring the commit's objects to the hub.
    Apply(Box<Apply>),
    /// Make a run.
    CreateRun(Value),
    /// Change a run's state, and note why.
    SetRunState {
        /// The run.
        run: String,
        /// `Run` or `Stop`.
        state: &'static str,
        /// Annotations that go with it; nothing removes one.
        annotations: BTreeMap<&'static str, Option<String>>,
    },
    /// Delete a run that has not begun.
    DeleteRun {
        /// The run.
        run: String,
        /// Which one of that name.
        uid: Option<String>,
    },
    /// Approve a request by its status.
    Approve {
        /// The request.
        request: String,
        /// A merge patch of its status.
        patch: Value,
    },
}

impl Order {
    /// Starts or resumes a run.
    pub fn go(run: impl Into<String>) -> Self {
        Self::SetRunState {
            run: run.into(),
            state: STATE_RUN,
            annotations: [(STOPPED_BY, None)].into(),
        }
    }

    /// Stops a run, and notes why: a value of [`STOPPED_BY`].
    pub fn stop(run: impl Into<String>, by: &str) -> Self {
        Self::stop_noting(run, by, [])
    }

    /// Stops a run, and notes why, in further annotations as well.
    pub fn stop_noting(
        run: impl Into<String>,
        by: &str,
        notes: impl IntoIterator<Item = (&'static str, String)>,
    ) -> Self {
        let notes = [(STOPPED_BY, by.to_owned())].into_iter().chain(notes);
        Self::SetRunState {
            run: run.into(),
            state: STATE_STOP,
            annotations: notes.map(|(note, text)| (note, Some(text))).collect(),
        }
    }
}

/// Objects to bring to the hub: content in order, then what goes, then the strategy, then the placement, last of all.
#[derive(Clone, Debug, PartialEq)]
pub struct Apply {
    /// Digest over everything in it: the outcome is kept under this key.
    pub key: String,
    /// The content, with the place in Git that each object stands in.
    pub content: Vec<(Value, String)>,
    /// Objects that are no longer in Git.
    pub prune: Vec<ObjectKey>,
    /// Strategy and placement.
    pub last: Vec<(Value, String)>,
    /// The namespace that everything must be in, if the Rollout has one.
    pub namespace: Option<String>,
}

impl Apply {
    /// Returns the apply with its key.
    #[must_use]
    pub fn keyed(mut self) -> Self {
        let mut text = String::new();
        for (object, _) in self.content.iter().chain(&self.last) {
            text.push_str(&object.to_string());
            text.push('\n');
        }
        self.key = Digest::of(text.as_bytes()).as_str().to_owned();
        self
    }
}

/// Returns an inventory entry for an object.
pub fn entry(key: &ObjectKey) -> InventoryEntry {
    InventoryEntry {
        group: key.group.clone(),
        kind: key.kind.clone(),
        namespace: key.namespace.clone(),
        name: key.name.clone(),
    }
}
