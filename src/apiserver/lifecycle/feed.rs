//! What was stored, on its way to the task that looks after it.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::sync::mpsc;

use crate::apiserver::store::Event;

/// How many events wait at most. More are not kept: everything is looked at instead.
const MOST_WAITING: usize = 16_384;

/// Tells of events. Never waits.
#[derive(Clone)]
pub(in crate::apiserver) struct Feeder {
    events: mpsc::Sender<News>,
    missed: Arc<AtomicBool>,
}

/// Hears of them.
pub(in crate::apiserver) struct Feed {
    events: mpsc::Receiver<News>,
    missed: Arc<AtomicBool>,
}

/// What is heard.
#[derive(Debug)]
pub(in crate::apiserver) enum News {
    /// This was stored.
    Event(Event),
    /// The quotas of this namespace are to be counted.
    Uncounted(String),
    /// Something was stored, and nobody knows what.
    Anything,
}

/// Returns the two ends of a feed.
pub(in crate::apiserver) fn feed() -> (Feeder, Feed) {
    bounded(MOST_WAITING)
}

fn bounded(most: usize) -> (Feeder, Feed) {
    let (sender, receiver) = mpsc::channel(most);
    let missed = Arc::new(AtomicBool::new(false));
    (Feeder { events: sender, missed: missed.clone() }, Feed { events: receiver, missed })
}

impl Feeder {
    /// Tells of an event if it is worth looking at.
    pub(in crate::apiserver) fn tell(&self, event: &Event) {
        if !super::matters(event) {
            return;
        }
        self.send(News::Event(event.clone()));
    }

    /// Tells that everything is to be looked at again.
    pub(in crate::apiserver) fn tell_anything(&self) {
        self.send(News::Anything);
    }

    /// Tells that the quotas of a namespace say more than is used.
    pub(in crate::apiserver) fn tell_uncounted(&self, namespace: &str) {
        self.send(News::Uncounted(namespace.to_owned()));
    }

    fn send(&self, news: News) {
        // Nobody listens any more when the server ends. A feed that is full is about to be read.
        if let Err(mpsc::error::TrySendError::Full(_)) = self.events.try_send(news) {
            self.missed.store(true, Ordering::Release);
        }
    }
}

impl Feed {
    /// Returns what happened next; nothing when the server ends.
    pub(super) async fn next(&mut self) -> Option<News> {
        if self.missed.swap(false, Ordering::Acquire) {
            return Some(News::Anything);
        }
        self.events.recv().await
    }

    /// Whether nothing waits to be heard.
    pub(super) fn is_idle(&self) -> bool {
        self.events.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::apiserver::store::{Change, Key, ResourceId, Stored};

    fn event(revision: u64) -> Event {
        let object =
            json!({"metadata": {"name": "a", "deletionTimestamp": "2026-01-01T00:00:00Z"}});
        let maps = Arc::new(ResourceId { group: "".into(), plural: "configmaps".into() });
        let object = Arc::new(Stored::new(Key::new(&maps, "n", "a"), revision, object));
        Event { change: Change::Modified, object, previous: None }
    }

    #[tokio::test]
    async fn what_does_not_fit_is_made_up_for_by_a_look_at_everything() {
        let (feeder, mut feed) = bounded(2);
        for revision in 1..=5 {
            feeder.tell(&event(revision));
        }
        assert!(matches!(feed.next().await, Some(News::Anything)), "three are lost");
        assert!(matches!(feed.next().await, Some(News::Event(_))));
        feeder.tell(&event(6));
        assert!(matches!(feed.next().await, Some(News::Event(_))));
        assert!(matches!(feed.next().await, Some(News::Event(_))), "none is lost since");
        drop(feeder);
        assert!(feed.next().await.is_none());
    }
}
