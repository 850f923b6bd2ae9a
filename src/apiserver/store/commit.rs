//! Writing: check, make durable, publish, answer, in this order.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, RwLock},
    thread::JoinHandle,
};

use serde_json::Value;
use tokio::sync::{Notify, oneshot};

use super::{
    file::{Change, FIRST_REVISION, File, StoreError},
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
    /// The store is closed, or its disk fails or is full.
    #[error("the store cannot write: {0}")]
    Unavailable(String),
}

/// What is wrong with a store that could not write, as long as no later write has worked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// What the last write met.
    pub why: String,
    /// Whether what was written before is whole, and the next write may work.
    pub is_whole: bool,
}

type Answer = Result<Arc<Stored>, CommitError>;

struct Job {
    write: Write,
    answer: oneshot::Sender<Answer>,
}

/// What the writer waits for.
enum Wanted {
    Write(Job),
    /// To see whether writing works again.
    Probe(oneshot::Sender<()>),
}

/// What the writer and its store share.
#[derive(Clone)]
struct Shared {
    state: Arc<RwLock<State>>,
    observer: Observer,
    trouble: Arc<Mutex<Option<Trouble>>>,
    /// Rung when trouble begins.
    alarm: Arc<Notify>,
}

/// Objects, durable or not. All handles see the same.
pub(crate) struct Store {
    pub(super) state: Arc<RwLock<State>>,
    writer: Writer,
    shared: Shared,
}

/// Told of every event in its order, before anybody else can see it. Must be quick, and must not use the store.
pub(crate) type Observer = Arc<dyn Fn(&Event) + Send + Sync>;

enum Writer {
    /// Writes are visible at once; the lock keeps check and publication together.
    Memory,
    /// One thread makes batches of what waits.
    File {
        jobs: Mutex<Option<std::sync::mpsc::Sender<Wanted>>>,
        thread: Mutex<Option<JoinHandle<()>>>,
    },
}

/// Most writes that share one transaction: bounds the time that the first of them waits for the last.
const MAX_BATCH: usize = 512;

impl Store {
    /// A store that lives and dies with the process.
    pub(crate) fn memory(bounds: Bounds, observer: Observer) -> Store {
        Store::new(State::new(FIRST_REVISION, Vec::new(), bounds), observer, Writer::Memory)
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
        Store::on(File::open(path)?, bounds, observer)
    }

    /// A store on an open file, with what was read from it.
    pub(super) fn on(
        (file, revision, objects): (File, u64, Vec<Stored>),
        bounds: Bounds,
        observer: Observer,
    ) -> Result<Store, StoreError> {
        let (jobs, queue) = std::sync::mpsc::channel();
        let writer = Writer::File { jobs: Mutex::new(Some(jobs)), thread: Mutex::default() };
        let store = Store::new(State::new(revision, objects, bounds), observer, writer);
        let shared = store.shared.clone();
        let thread = std::thread::Builder::new()
            .name("apiserver-store".to_owned())
            .spawn(move || write_batches(file, &queue, &shared))
            .map_err(StoreError::Thread)?;
        if let Writer::File { thread: slot, .. } = &store.writer {
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        }
        Ok(store)
    }

    fn new(state: State, observer: Observer, writer: Writer) -> Store {
        let state = Arc::new(RwLock::new(state));
        let shared = Shared {
            state: Arc::clone(&state),
            observer,
            trouble: Arc::default(),
            alarm: Arc::default(),
        };
        Store { state, writer, shared }
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
                (self.shared.observer)(&state.publish(Arc::clone(&object), write.delete));
                Ok(object)
            }
            Writer::File { jobs, .. } => {
                let (answer, answered) = oneshot::channel();
                let closed = || CommitError::Unavailable("it is closed".to_owned());
                if !send(jobs, Wanted::Write(Job { write, answer })) {
                    return Err(closed());
                }
                answered.await.unwrap_or_else(|_| Err(closed()))
            }
        }
    }

    /// What is wrong, if the last write did not work.
    pub(crate) fn trouble(&self) -> Option<Trouble> {
        self.shared.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns when a write has not worked.
    pub(crate) async fn alarm(&self) {
        self.shared.alarm.notified().await;
    }

    /// Tries whether writing works again. [`Store::trouble`] has the outcome.
    pub(crate) async fn probe(&self) {
        if let Writer::File { jobs, .. } = &self.writer {
            let (done, probed) = oneshot::channel();
            if send(jobs, Wanted::Probe(done)) {
                let _ = probed.await;
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

/// Whether there is still somebody to do it.
fn send(jobs: &Mutex<Option<std::sync::mpsc::Sender<Wanted>>>, wanted: Wanted) -> bool {
    let jobs = jobs.lock().unwrap_or_else(PoisonError::into_inner);
    jobs.as_ref().is_some_and(|jobs| jobs.send(wanted).is_ok())
}

fn write_batches(mut file: File, queue: &std::sync::mpsc::Receiver<Wanted>, shared: &Shared) {
    while let Ok(first) = queue.recv() {
        let (mut jobs, mut probes) = (Vec::new(), Vec::new());
        for wanted in std::iter::once(first).chain(queue.try_iter().take(MAX_BATCH - 1)) {
            match wanted {
                Wanted::Write(job) => jobs.push(job),
                Wanted::Probe(done) => probes.push(done),
            }
        }
        write_batch(&mut file, jobs, shared);
        if !probes.is_empty() && shared.is_in_trouble() {
            let probed = file.probe();
            shared.note(probed.as_ref().err(), &file);
        }
        for done in probes {
            let _ = done.send(());
        }
    }
}

/// One transaction for all of `jobs` that are not stale.
fn write_batch(file: &mut File, jobs: Vec<Job>, shared: &Shared) {
    let mut accepted = Vec::with_capacity(jobs.len());
    {
        // Only this thread writes, so what holds now holds until it publishes.
        let state = shared.state.read().unwrap_or_else(PoisonError::into_inner);
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
    if accepted.is_empty() {
        return;
    }
    let changes: Vec<Change<'_>> =
        accepted.iter().map(|(object, delete, _)| (&**object, *delete)).collect();
    let written = file.write(&changes, |key| {
        shared.state.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    });
    shared.note(written.as_ref().err(), file);
    if let Err(error) = written {
        let why = causes(&error);
        for (_, _, answer) in accepted {
            let _ = answer.send(Err(CommitError::Unavailable(why.clone())));
        }
        return;
    }
    let mut state = shared.state.write().unwrap_or_else(PoisonError::into_inner);
    for (object, delete, _) in &accepted {
        (shared.observer)(&state.publish(Arc::clone(object), *delete));
    }
    drop(state);
    for (object, _, answer) in accepted {
        // Who asked may have gone away; the write stands.
        let _ = answer.send(Ok(object));
    }
}

impl Shared {
    fn is_in_trouble(&self) -> bool {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Keeps what a write has shown.
    fn note(&self, error: Option<&StoreError>, file: &File) {
        let now = error.map(|error| Trouble { why: causes(error), is_whole: file.is_open() });
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if *trouble == now {
            return;
        }
        match &now {
            Some(Trouble { why, is_whole }) => {
                tracing::error!(%why, is_whole, "nothing can be stored");
                self.alarm.notify_one();
            }
            None => tracing::info!("objects are stored again"),
        }
        *trouble = now;
    }
}

/// An error with what caused it.
fn causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
