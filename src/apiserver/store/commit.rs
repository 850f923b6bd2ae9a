//! Writing: check, make durable, publish, answer, in this order.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, RwLock},
    thread::JoinHandle,
};

use serde_json::Value;
use tokio::sync::{Notify, oneshot};

use super::{
    file::{FIRST_REVISION, File, StoreError},
    history::{Bounds, Event, Outrun},
    key::{Key, ResourceId},
    state::State,
    stored::Stored,
};

/// One write of one object.
#[derive(Debug)]
pub(crate) struct Write {
    /// Which object.
    pub key: Key,
    /// The revision of the object that the write was made from; none when there must be no object.
    pub from: Option<u64>,
    /// The new state, or the last state when `delete`.
    pub object: Value,
    /// Whether the object goes.
    pub delete: bool,
    /// Another object that the write relies on, with the revision that was seen.
    pub relies_on: Option<(Key, u64)>,
}

/// Why a write did not happen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CommitError {
    /// Somebody else wrote in between: read again.
    #[error("the object changed in between")]
    Stale,
    /// The store is closed, or its disk fails.
    #[error("the store cannot write: {0}")]
    Unavailable(String),
}

type Answer = Result<Arc<Stored>, CommitError>;

struct Job {
    write: Write,
    answer: oneshot::Sender<Answer>,
}

/// Objects, durable or not. All handles see the same.
pub(crate) struct Store {
    pub(super) state: Arc<RwLock<State>>,
    writer: Writer,
    observer: Observer,
}

/// Told of every event in its order, before anybody else can see it. Must be quick, and must not use the store.
pub(crate) type Observer = Arc<dyn Fn(&Event) + Send + Sync>;

enum Writer {
    /// Writes are visible at once; the lock keeps check and publication together.
    Memory,
    /// One thread makes batches of what waits.
    File {
        jobs: Mutex<Option<std::sync::mpsc::Sender<Job>>>,
        thread: Mutex<Option<JoinHandle<()>>>,
    },
}

/// Most writes that share one transaction: bounds the time that the first of them waits for the last.
const MAX_BATCH: usize = 512;

impl Store {
    /// A store that lives and dies with the process.
    pub(crate) fn memory(bounds: Bounds, observer: Observer) -> Store {
        let state = Arc::new(RwLock::new(State::new(FIRST_REVISION, Vec::new(), bounds)));
        Store { state, writer: Writer::Memory, observer }
    }

    /// A store that keeps everything in a file, which nobody else may have open.
    ///
    /// # Errors
    /// When the file cannot be opened or read.
    pub(crate) fn file(
        path: &std::path::Path,
        bounds: Bounds,
        observer: Observer,
    ) -> Result<Store, StoreError> {
        let (file, revision, objects) = File::open(path)?;
        let state = Arc::new(RwLock::new(State::new(revision, objects, bounds)));
        let (jobs, queue) = std::sync::mpsc::channel();
        let (shared, told) = (Arc::clone(&state), Arc::clone(&observer));
        let thread = std::thread::Builder::new()
            .name("apiserver-store".to_owned())
            .spawn(move || write_batches(&file, &queue, &shared, &*told))
            .map_err(StoreError::Thread)?;
        let writer =
            Writer::File { jobs: Mutex::new(Some(jobs)), thread: Mutex::new(Some(thread)) };
        Ok(Store { state, writer, observer })
    }

    /// Writes. The answer is the object as stored.
    ///
    /// # Errors
    /// [`CommitError::Stale`] when the write was made from a state that is no more.
    pub(crate) async fn commit(&self, write: Write) -> Answer {
        match &self.writer {
            Writer::Memory => {
                let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
                check(&write, &state, &HashMap::new())?;
                let revision = state.revision + 1;
                let object = Arc::new(Stored::new(write.key, revision, write.object));
                (self.observer)(&state.publish(Arc::clone(&object), write.delete));
                Ok(object)
            }
            Writer::File { jobs, .. } => {
                let (answer, answered) = oneshot::channel();
                let closed = || CommitError::Unavailable("it is closed".to_owned());
                {
                    let jobs = jobs.lock().unwrap_or_else(PoisonError::into_inner);
                    let queue = jobs.as_ref().ok_or_else(closed)?;
                    queue.send(Job { write, answer }).map_err(|_| closed())?;
                }
                answered.await.unwrap_or_else(|_| Err(closed()))
            }
        }
    }

    /// Reads one object.
    pub(crate) fn get(&self, key: &Key) -> Option<Arc<Stored>> {
        self.state.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    /// The newest revision.
    pub(crate) fn revision(&self) -> u64 {
        self.state.read().unwrap_or_else(PoisonError::into_inner).revision
    }

    /// The objects that name `uid` as an owner.
    pub(crate) fn dependents(&self, uid: &str) -> Vec<Arc<Stored>> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        state.dependents(uid).filter_map(|key| state.get(key)).cloned().collect()
    }

    /// At most `limit` events of `resource` after `revision`, and the revision up to which the reader has then seen
    /// everything.
    ///
    /// # Errors
    /// [`Outrun`] when some of them are no longer known.
    pub(crate) fn events_after(
        &self,
        resource: &ResourceId,
        revision: u64,
        limit: usize,
    ) -> Result<(Vec<Event>, u64), Outrun> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let Some(collection) = state.collection(resource) else {
            return Ok((Vec::new(), state.revision));
        };
        let events: Vec<Event> = collection.history.after(revision)?.take(limit).cloned().collect();
        let seen = match events.last() {
            Some(last) if events.len() == limit => last.revision(),
            _ => state.revision,
        };
        Ok((events, seen))
    }

    /// Rung after every event of `resource`.
    pub(crate) fn bell(&self, resource: &Arc<ResourceId>) -> Arc<Notify> {
        let known = |state: &State| state.collection(resource).map(|c| Arc::clone(&c.bell));
        let bell = known(&self.state.read().unwrap_or_else(PoisonError::into_inner));
        bell.unwrap_or_else(|| {
            let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(&state.collection_mut(resource).bell)
        })
    }

    /// Every stored object of every resource, for a first look after opening.
    pub(crate) fn everything(&self) -> Vec<Arc<Stored>> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        state.collections().flat_map(|(_, c)| c.objects.values().cloned()).collect()
    }

    /// Ends the writer after what was accepted is written. Later writes are refused.
    pub(crate) fn close(&self) {
        if let Writer::File { jobs, thread } = &self.writer {
            jobs.lock().unwrap_or_else(PoisonError::into_inner).take();
            let thread = thread.lock().unwrap_or_else(PoisonError::into_inner).take();
            if thread.is_some_and(|thread| thread.join().is_err()) {
                tracing::error!("the store's writer ended in a panic");
            }
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.close();
    }
}

/// Checks a write against what is committed and what is about to be.
fn check(
    write: &Write,
    state: &State,
    pending: &HashMap<Key, Option<u64>>,
) -> Result<(), CommitError> {
    let revision = |key: &Key| match pending.get(key) {
        Some(revision) => *revision,
        None => state.get(key).map(|object| object.revision),
    };
    let relied_on = write.relies_on.as_ref().is_none_or(|(key, seen)| revision(key) == Some(*seen));
    if revision(&write.key) == write.from && relied_on { Ok(()) } else { Err(CommitError::Stale) }
}

fn write_batches(
    file: &File,
    queue: &std::sync::mpsc::Receiver<Job>,
    state: &RwLock<State>,
    observer: &(dyn Fn(&Event) + Send + Sync),
) {
    while let Ok(first) = queue.recv() {
        let mut jobs = vec![first];
        jobs.extend(queue.try_iter().take(MAX_BATCH - 1));
        write_batch(file, jobs, state, observer);
    }
}

/// One transaction for all of `jobs` that are not stale.
fn write_batch(
    file: &File,
    jobs: Vec<Job>,
    state: &RwLock<State>,
    observer: &(dyn Fn(&Event) + Send + Sync),
) {
    let mut accepted = Vec::with_capacity(jobs.len());
    {
        // Only this thread writes, so what holds now holds until it publishes.
        let state = state.read().unwrap_or_else(PoisonError::into_inner);
        let (mut revision, mut pending) = (state.revision, HashMap::new());
        for Job { write, answer } in jobs {
            if let Err(stale) = check(&write, &state, &pending) {
                let _ = answer.send(Err(stale));
                continue;
            }
            revision += 1;
            pending.insert(write.key.clone(), (!write.delete).then_some(revision));
            let object = Arc::new(Stored::new(write.key, revision, write.object));
            accepted.push((object, write.delete, answer));
        }
    }
    if let Err(error) = file.write(accepted.iter().map(|(object, delete, _)| (&**object, *delete)))
    {
        tracing::error!(%error, "a write was not stored");
        for (_, _, answer) in accepted {
            let _ = answer.send(Err(CommitError::Unavailable(error.to_string())));
        }
        return;
    }
    let mut state = state.write().unwrap_or_else(PoisonError::into_inner);
    for (object, delete, _) in &accepted {
        observer(&state.publish(Arc::clone(object), *delete));
    }
    drop(state);
    for (object, _, answer) in accepted {
        // Who asked may have gone away; the write stands.
        let _ = answer.send(Ok(object));
    }
}
