//! Work queues: which keys need a look, and when.

use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    fmt::Debug,
    future::Future,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

use super::EngineError;
use crate::hub::Recovery;

/// Keys that wait for a reconciliation.
///
/// A key is in the queue at most once, and is never worked on twice at the same time: a key that is added while it is
/// worked on comes again afterwards. Errors bring a key back, later and later.
#[derive(Debug)]
pub struct Queue<K> {
    name: &'static str,
    state: Mutex<State<K>>,
    bell: Notify,
}

#[derive(Debug)]
struct State<K> {
    ready: VecDeque<K>,
    queued: HashSet<K>,
    running: HashSet<K>,
    /// Added while running.
    again: HashSet<K>,
    timers: BTreeSet<(Instant, u64)>,
    due: HashMap<K, (Instant, u64)>,
    keys: HashMap<u64, K>,
    sequence: u64,
    failures: HashMap<K, u32>,
}

/// When to look at a key again without being told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// Never.
    No,
    /// At once.
    Now,
    /// After this long.
    After(Duration),
}

const FIRST_DELAY: Duration = Duration::from_millis(10);
const LAST_DELAY: Duration = Duration::from_secs(60);

impl<K: Clone + Debug + Eq + Hash + Send + 'static> Queue<K> {
    /// Returns an empty queue; `name` is for the log.
    pub fn new(name: &'static str) -> Arc<Self> {
        let state = State {
            ready: VecDeque::new(),
            queued: HashSet::new(),
            running: HashSet::new(),
            again: HashSet::new(),
            timers: BTreeSet::new(),
            due: HashMap::new(),
            keys: HashMap::new(),
            sequence: 0,
            failures: HashMap::new(),
        };
        Arc::new(Self { name, state: Mutex::new(state), bell: Notify::new() })
    }

    fn state(&self) -> MutexGuard<'_, State<K>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a key, to be worked on as soon as there is room.
    pub fn add(&self, key: K) {
        self.state().add(key);
        self.bell.notify_one();
    }

    /// Adds a key after `delay`, or sooner if it is due sooner already.
    pub fn add_after(&self, key: K, delay: Duration) {
        if delay.is_zero() {
            return self.add(key);
        }
        self.state().add_at(key, Instant::now() + delay);
        self.bell.notify_one();
    }

    /// Works on keys, at most `width` at a time, until `stop`. Keys in work are finished first.
    pub async fn run<F>(
        self: Arc<Self>,
        width: usize,
        stop: CancellationToken,
        reconcile: impl Fn(K) -> F + Send,
    ) where
        F: Future<Output = Result<Again, EngineError>> + Send + 'static,
    {
        let mut running: JoinSet<(K, Result<Again, EngineError>)> = JoinSet::new();
        loop {
            let now = Instant::now();
            let next_timer = {
                let mut state = self.state();
                state.ring(now);
                while running.len() < width.max(1) {
                    let Some(key) = state.take() else { break };
                    let work = reconcile(key.clone());
                    running.spawn(async move { (key, work.await) });
                }
                state.timers.first().map(|(at, _)| *at)
            };
            let timer = async {
                match next_timer {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.bell.notified() => {}
                () = timer => {}
                Some(done) = running.join_next(), if !running.is_empty() => self.done(done),
            }
        }
        while let Some(done) = running.join_next().await {
            self.done(done);
        }
    }

    fn done(&self, done: Result<(K, Result<Again, EngineError>), tokio::task::JoinError>) {
        let (key, result) = match done {
            Ok(done) => done,
            Err(error) => {
                // The key stays marked as running: whatever made it panic would do so again.
                tracing::error!(queue = self.name, %error, "reconciliation broke down");
                return;
            }
        };
        let mut state = self.state();
        state.running.remove(&key);
        let again = state.again.remove(&key);
        let error = match result {
            Ok(after) => {
                state.failures.remove(&key);
                match after {
                    Again::No => {}
                    Again::Now => state.add(key.clone()),
                    Again::After(delay) => state.add_at(key.clone(), Instant::now() + delay),
                }
                if again {
                    state.add(key);
                }
                return;
            }
            Err(error) => error,
        };
        let failures = state.failures.entry(key.clone()).or_default();
        *failures = failures.saturating_add(1);
        let delay = FIRST_DELAY.saturating_mul(1 << (*failures - 1).min(16)).min(LAST_DELAY);
        match error.recovery() {
            Recovery::Reread => {
                tracing::debug!(queue = self.name, ?key, %error, "again, with a fresh look");
            }
            Recovery::BackOff | Recovery::Stall => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(queue = self.name, ?key, ?delay, error, "reconciliation failed");
            }
        }
        state.add_at(key, Instant::now() + delay);
    }
}

impl<K: Clone + Eq + Hash> State<K> {
    fn add(&mut self, key: K) {
        self.forget_timer(&key);
        if self.running.contains(&key) {
            self.again.insert(key);
        } else if self.queued.insert(key.clone()) {
            self.ready.push_back(key);
        }
    }

    fn add_at(&mut self, key: K, at: Instant) {
        if self.queued.contains(&key) || self.due.get(&key).is_some_and(|(due, _)| *due <= at) {
            return;
        }
        self.forget_timer(&key);
        self.sequence += 1;
        self.timers.insert((at, self.sequence));
        self.keys.insert(self.sequence, key.clone());
        self.due.insert(key, (at, self.sequence));
    }

    fn forget_timer(&mut self, key: &K) {
        if let Some(timer) = self.due.remove(key) {
            self.timers.remove(&timer);
            self.keys.remove(&timer.1);
        }
    }

    /// Makes every key whose time has come ready.
    fn ring(&mut self, now: Instant) {
        while let Some(timer) = self.timers.first().copied().filter(|(at, _)| *at <= now) {
            self.timers.remove(&timer);
            if let Some(key) = self.keys.remove(&timer.1) {
                self.due.remove(&key);
                self.add(key);
            }
        }
    }

    fn take(&mut self) -> Option<K> {
        let key = self.ready.pop_front()?;
        self.queued.remove(&key);
        self.running.insert(key.clone());
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_key_that_is_added_while_it_is_worked_on_comes_again_and_never_twice_at_once() {
        let queue = Queue::new("test");
        let counts: Arc<[AtomicUsize; 3]> = Arc::default();
        let stop = CancellationToken::new();
        for _ in 0..5 {
            queue.add("a");
        }
        let (second, halt) = (queue.clone(), stop.clone());
        let worker = queue.clone().run(4, stop, move |key| {
            let (queue, counts, halt) = (second.clone(), counts.clone(), halt.clone());
            async move {
                let [at_once, runs, _] = &*counts;
                assert_eq!(at_once.fetch_add(1, Ordering::SeqCst), 0);
                match runs.fetch_add(1, Ordering::SeqCst) {
                    0 => (0..3).for_each(|_| queue.add(key)),
                    1 => queue.add_after("last", Duration::from_millis(20)),
                    2 => assert_eq!(key, "last"),
                    _ => panic!("too often"),
                }
                tokio::task::yield_now().await;
                at_once.fetch_sub(1, Ordering::SeqCst);
                if key == "last" {
                    halt.cancel();
                }
                Ok(Again::No)
            }
        });
        tokio::time::timeout(Duration::from_secs(20), worker).await.unwrap();
    }

    #[tokio::test]
    async fn the_sooner_of_two_times_counts_and_failures_come_back_later_and_later() {
        let queue = Queue::new("test");
        let start = Instant::now();
        queue.add_after("a", Duration::from_secs(900));
        queue.add_after("a", Duration::from_millis(30));
        queue.add_after("a", Duration::from_secs(500));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let stop = CancellationToken::new();
        let worker = queue.run(1, stop.clone(), {
            let seen = seen.clone();
            move |_| {
                let mut seen = seen.lock().unwrap();
                seen.push(start.elapsed());
                let enough = seen.len() == 4;
                if enough {
                    stop.cancel();
                }
                async move { if enough { Ok(Again::No) } else { Err(EngineError::Stopped) } }
            }
        });
        tokio::time::timeout(Duration::from_secs(20), worker).await.unwrap();
        let seen = seen.lock().unwrap();
        for (at, least) in seen.iter().zip([30, 40, 60, 100]) {
            assert!(*at >= Duration::from_millis(least), "{seen:?}");
        }
    }
}
