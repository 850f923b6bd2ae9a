//! What happened to one resource lately, for watchers and for lists that go on.

use std::{collections::VecDeque, sync::Arc};

use super::stored::Stored;

/// What a revision did to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// It was not there before.
    Added,
    /// It was there before.
    Modified,
    /// It is no more; the event's object is its last state.
    Deleted,
}

/// One revision.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    /// What happened.
    pub change: Change,
    /// The object after it, or its last state when deleted, at the event's revision.
    pub object: Arc<Stored>,
    /// The object before it.
    pub previous: Option<Arc<Stored>>,
}

impl Event {
    /// When it happened.
    pub(crate) fn revision(&self) -> u64 {
        self.object.revision
    }

    /// The object after the event; none when it was deleted.
    pub(crate) fn current(&self) -> Option<&Arc<Stored>> {
        (self.change != Change::Deleted).then_some(&self.object)
    }

    fn size(&self) -> usize {
        // What comes before is usually the `object` of an older event, so it counts once.
        self.object.json.len()
    }
}

/// Events after the asked revision are no longer known; the reader has to list again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outrun {
    /// The oldest revision from which reading can go on.
    pub oldest: u64,
}

/// How much history is kept for a resource.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Number of events.
    pub events: usize,
    /// Bytes of their objects.
    pub bytes: usize,
}

/// The latest events of one resource, oldest first.
#[derive(Debug, Default)]
pub(super) struct History {
    events: VecDeque<Event>,
    bytes: usize,
    /// Every event after this revision is in `events`.
    complete_after: u64,
}

impl History {
    /// An empty history that is complete after `revision`.
    pub(super) fn starting_at(revision: u64) -> History {
        History { complete_after: revision, ..History::default() }
    }

    /// Adds the newest event, and forgets the oldest beyond the bounds.
    pub(super) fn push(&mut self, event: Event, bounds: Bounds) {
        self.bytes += event.size();
        self.events.push_back(event);
        while self.events.len() > bounds.events
            || (self.bytes > bounds.bytes && self.events.len() > 1)
        {
            if let Some(oldest) = self.events.pop_front() {
                self.bytes -= oldest.size();
                self.complete_after = oldest.revision();
            }
        }
    }

    /// The events after `revision`, oldest first.
    pub(super) fn after(
        &self,
        revision: u64,
    ) -> Result<impl DoubleEndedIterator<Item = &Event>, Outrun> {
        if revision < self.complete_after {
            return Err(Outrun { oldest: self.complete_after });
        }
        let start = self.events.partition_point(|event| event.revision() <= revision);
        Ok(self.events.range(start..))
    }
}
