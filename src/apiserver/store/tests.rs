use std::sync::Arc;

use serde_json::json;

use super::{Bounds, Change, CommitError, Key, Range, ResourceId, Store, Write, history::Outrun};

pub(super) const BOUNDS: Bounds = Bounds { events: 4, bytes: 1 << 20 };

fn resource() -> Arc<ResourceId> {
    Arc::new(ResourceId { group: String::new(), plural: "configmaps".to_owned() })
}

pub(super) fn key(name: &str) -> Key {
    Key::new(&resource(), "default", name)
}

pub(super) fn put(name: &str, from: Option<u64>, text: &str) -> Write {
    let object = json!({"metadata": {"name": name, "labels": {"a": "b"}}, "text": text});
    Write { key: key(name), from, object, delete: false, relies_on: None }
}

pub(super) fn remove(name: &str, from: u64) -> Write {
    Write { delete: true, ..put(name, Some(from), "last") }
}

fn memory() -> Store {
    Store::memory(BOUNDS, Arc::new(|_| {}))
}

pub(super) fn names(store: &Store, revision: Option<u64>) -> Result<Vec<String>, Outrun> {
    let page = store.list(&resource(), &Range { revision, ..Range::default() })?;
    Ok(page.objects.iter().map(|object| object.key.name.to_string()).collect())
}

#[tokio::test]
async fn a_write_is_one_revision_and_never_made_from_what_is_no_more() {
    let store = memory();
    let first = store.commit(put("a", None, "1")).await.unwrap();
    assert_eq!(first.value()["metadata"]["resourceVersion"], first.revision.to_string());
    assert_eq!(store.commit(put("a", None, "2")).await.unwrap_err(), CommitError::Stale);
    let second = store.commit(put("a", Some(first.revision), "2")).await.unwrap();
    assert_eq!(second.revision, first.revision + 1);
    assert_eq!(
        store.commit(put("a", Some(first.revision), "3")).await.unwrap_err(),
        CommitError::Stale
    );
    let relying = Write { relies_on: Some((key("a"), first.revision)), ..put("b", None, "1") };
    assert_eq!(store.commit(relying).await.unwrap_err(), CommitError::Stale);
    store.commit(remove("a", second.revision)).await.unwrap();
    assert!(store.get(&key("a")).is_none());
    assert_eq!(store.revision(), first.revision + 2);
}

#[tokio::test]
async fn the_past_can_be_listed_as_far_as_history_goes() {
    let store = memory();
    let mut at = Vec::new();
    for name in ["a", "b", "c"] {
        at.push(store.commit(put(name, None, "1")).await.unwrap().revision);
    }
    store.commit(remove("b", at[1])).await.unwrap();
    store.commit(put("a", Some(at[0]), "2")).await.unwrap();
    assert_eq!(names(&store, None).unwrap(), ["a", "c"]);
    assert_eq!(names(&store, Some(at[2])).unwrap(), ["a", "b", "c"]);
    let then =
        store.list(&resource(), &Range { revision: Some(at[2]), ..Range::default() }).unwrap();
    assert_eq!(then.objects[0].value()["text"], "1");
    assert_eq!(names(&store, Some(at[0])).unwrap(), ["a"]);
    store.commit(put("d", None, "1")).await.unwrap();
    assert_eq!(names(&store, Some(at[0])), Err(Outrun { oldest: at[1] }));
}

#[tokio::test]
async fn events_say_what_was_before() {
    let store = memory();
    let start = store.revision();
    store.bell(&resource());
    let a = store.commit(put("a", None, "1")).await.unwrap().revision;
    let b = store.commit(put("a", Some(a), "2")).await.unwrap().revision;
    store.commit(remove("a", b)).await.unwrap();
    let (events, seen) = store.events_after(&resource(), start, 10).unwrap();
    let changes: Vec<Change> = events.iter().map(|event| event.change).collect();
    assert_eq!(changes, [Change::Added, Change::Modified, Change::Deleted]);
    assert_eq!(events[1].previous.as_ref().unwrap().value()["text"], "1");
    assert_eq!(seen, store.revision());
    let (some, seen) = store.events_after(&resource(), start, 2).unwrap();
    assert_eq!((some.len(), seen), (2, b));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_holds_what_was_answered_in_one_history() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let bounds = Bounds { events: 10_000, ..BOUNDS };
    {
        let store = Store::file(&path, bounds, Arc::new(|_| {})).unwrap();
        let writers = (0..8).map(|writer| {
            let store = &store;
            async move {
                for round in 0..20 {
                    let name = format!("w{writer}");
                    loop {
                        // All contend for one object as well.
                        let from = store.get(&key("shared")).map(|o| o.revision);
                        let text = format!("{writer}.{round}");
                        if store.commit(put("shared", from, &text)).await.is_ok() {
                            break;
                        }
                    }
                    let from = store.get(&key(&name)).map(|o| o.revision);
                    store.commit(put(&name, from, "x")).await.unwrap();
                }
            }
        });
        futures::future::join_all(writers).await;
        assert_eq!(store.revision(), super::file::FIRST_REVISION + 2 * 8 * 20);
        let (events, _) =
            store.events_after(&resource(), super::file::FIRST_REVISION, 10_000).unwrap();
        let revisions: Vec<u64> = events.iter().map(|e| e.revision()).collect();
        assert!(revisions.windows(2).all(|pair| pair[1] == pair[0] + 1), "one writer, one order");
        for event in &events {
            let before = event.previous.as_ref().map(|p| p.revision);
            let known = revisions
                .iter()
                .zip(&events)
                .rev()
                .find(|(r, e)| **r < event.revision() && e.object.key == event.object.key);
            assert_eq!(before, known.map(|(r, _)| *r), "each write is made from the one before");
        }
        store.close();
        let refused = store.commit(put("late", None, "x")).await;
        assert!(matches!(refused, Err(CommitError::Unavailable(_))));
    }
    let store = Store::file(&path, bounds, Arc::new(|_| {})).unwrap();
    assert_eq!(store.revision(), super::file::FIRST_REVISION + 2 * 8 * 20);
    assert_eq!(names(&store, None).unwrap().len(), 9);
    let old = store.list(&resource(), &Range { revision: Some(5), ..Range::default() });
    assert!(old.is_err(), "history starts at the opening");
}

#[test]
fn a_file_of_something_else_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    std::fs::write(
        &path,
        "not a database, but long enough to have a header of some kind".repeat(100),
    )
    .unwrap();
    assert!(Store::file(&path, BOUNDS, Arc::new(|_| {})).is_err());
}

#[test]
fn keys_read_back() {
    for (namespace, name) in [("", "a"), ("n", "a.b-c"), ("n", "system:x/y")] {
        let key = Key::new(&resource(), namespace, name);
        assert_eq!(Key::decode(&key.encode()), Some(key));
    }
    assert_eq!(Key::decode("a\0b\0c"), None);
    assert_eq!(Key::decode("a\0b\0c\0d\0e"), None);
}
