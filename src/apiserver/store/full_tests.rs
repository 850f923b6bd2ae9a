//! A disk without room, and one that fails in the middle of anything.

use std::{
    io::{Error, ErrorKind},
    path::Path,
    sync::{Arc, Mutex},
};

use redb::{Database, StorageBackend};

use super::{
    CommitError, Store,
    file::File,
    tests::{BOUNDS, key, names, put, remove},
};

/// A file on a disk that is as bad as the test wants it.
#[derive(Debug, Clone, Default)]
struct Disk(Arc<Mutex<Content>>);

#[derive(Debug, Default, Clone)]
struct Content {
    bytes: Vec<u8>,
    /// Changes of the file that still work; all of them when absent.
    works: Option<usize>,
    /// Bytes that the file may have; as many as it likes when absent.
    room: Option<usize>,
}

impl Disk {
    fn of(bytes: Vec<u8>) -> Disk {
        Disk(Arc::new(Mutex::new(Content { bytes, ..Content::default() })))
    }

    fn breaks_after(&self, works: usize) {
        self.0.lock().unwrap().works = Some(works);
    }

    fn is_broken(&self) -> bool {
        self.0.lock().unwrap().works == Some(0)
    }

    /// The file can grow by no more than this.
    fn has_room(&self, bytes: usize) {
        let mut content = self.0.lock().unwrap();
        content.room = Some(content.bytes.len() + bytes);
    }

    fn is_mended(&self) {
        let mut content = self.0.lock().unwrap();
        (content.works, content.room) = (None, None);
    }

    fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().bytes.clone()
    }

    fn store(&self) -> Store {
        let disk = self.clone();
        let file = File::open_with(
            Path::new("disk"),
            Box::new(move || Database::builder().create_with_backend(disk.clone())),
        );
        Store::on(file.unwrap(), BOUNDS, Arc::new(|_| {})).unwrap()
    }
}

impl Content {
    fn change(&mut self, length: usize) -> Result<(), Error> {
        let full = self.room.is_some_and(|room| length > room);
        let broken = self.works == Some(0);
        if full || broken {
            return Err(Error::new(ErrorKind::StorageFull, "no room"));
        }
        self.works = self.works.map(|works| works - 1);
        Ok(())
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> Result<u64, Error> {
        Ok(self.0.lock().unwrap().bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), Error> {
        let content = self.0.lock().unwrap();
        let at = offset as usize;
        let bytes = content.bytes.get(at..at + out.len()).ok_or(ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, length: u64) -> Result<(), Error> {
        let mut content = self.0.lock().unwrap();
        content.change(length as usize)?;
        content.bytes.resize(length as usize, 0);
        Ok(())
    }

    fn sync_data(&self) -> Result<(), Error> {
        self.0.lock().unwrap().change(0)
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), Error> {
        let mut content = self.0.lock().unwrap();
        let at = offset as usize;
        content.change(at + data.len())?;
        content.bytes[at..at + data.len()].copy_from_slice(data);
        Ok(())
    }
}

/// What a store holds: its revision, and each object's text.
fn held(store: &Store) -> (u64, Vec<(String, String)>) {
    let text = |name: &String| store.get(&key(name)).unwrap().value()["text"].to_string();
    let names = names(store, None).unwrap();
    (store.revision(), names.iter().map(|name| (name.clone(), text(name))).collect())
}

/// A few writes of every kind. Answers whether one was refused, which ends them.
async fn writes(store: &Store, round: usize) -> bool {
    for (name, text) in [("a", "1".to_owned()), ("b", "2".repeat(20_000)), ("c", "3".to_owned())] {
        let from = store.get(&key(name)).map(|object| object.revision);
        match store.commit(put(name, from, &format!("{round}{text}"))).await {
            Ok(_) => {}
            Err(CommitError::Unavailable(why)) => {
                assert!(why.contains("no room"), "{why}");
                return true;
            }
            Err(stale) => panic!("{stale}"),
        }
    }
    let from = store.get(&key("a")).unwrap().revision;
    store.commit(remove("a", from)).await.is_err()
}

#[tokio::test]
async fn wherever_a_write_fails_nothing_else_is_lost_and_the_next_one_works() {
    let mut refusals = 0;
    for works in 0.. {
        let disk = Disk::default();
        let store = disk.store();
        assert!(!writes(&store, 0).await);
        disk.breaks_after(works);
        if !writes(&store, 1).await {
            break;
        }
        refusals += 1;
        let acknowledged = held(&store);
        assert!(disk.is_broken());
        assert!(store.trouble().unwrap().why.contains("no room"), "after {works} changes");
        // As a process would find it that started after this one was killed: a write that was cut off may be there.
        let left = held(&Disk::of(disk.bytes()).store());
        assert!(
            left == acknowledged || left.0 == acknowledged.0 + 1,
            "after {works} changes, {} follows {}",
            left.0,
            acknowledged.0
        );

        disk.is_mended();
        store.probe().await;
        assert_eq!(store.trouble(), None, "after {works} changes");
        assert_eq!(held(&Disk::of(disk.bytes()).store()), acknowledged, "after {works} changes");
        assert!(!writes(&store, 2).await, "after {works} changes");
        let now = held(&store);
        store.close();
        assert_eq!(held(&disk.store()), now, "after {works} changes");
    }
    assert!(refusals > 20, "{refusals}");
}

#[tokio::test]
async fn a_full_disk_takes_what_fits_and_all_again_when_there_is_room() {
    let disk = Disk::default();
    let store = disk.store();
    disk.has_room(3 << 20);
    let (mut kept, mut length) = (Vec::new(), 0);
    let refused = loop {
        length = length.max(disk.bytes().len());
        let name = format!("n{}", kept.len());
        match store.commit(put(&name, None, &"x".repeat(50_000))).await {
            Ok(_) => kept.push(name),
            Err(refused) => break refused,
        }
    };
    assert!(refused.to_string().starts_with("the store cannot write: "), "{refused}");
    let trouble = store.trouble().unwrap();
    assert!(trouble.is_whole && trouble.why.contains("no room"), "{trouble:?}");
    assert!(disk.bytes().len() <= length, "nothing of the refused write is kept");
    assert_eq!(names(&Disk::of(disk.bytes()).store(), None).unwrap().len(), kept.len());
    // What makes room in the file needs none on the disk.
    let of_first = store.get(&key(&kept[0])).unwrap().revision;
    store.commit(remove(&kept[0], of_first)).await.unwrap();
    assert_eq!(store.trouble(), None);

    while store.commit(put("more", None, &"x".repeat(500_000))).await.is_err() {
        assert!(store.trouble().is_some());
        disk.is_mended();
    }
    assert_eq!(store.trouble(), None);
    let now = held(&store);
    store.close();
    assert_eq!(held(&disk.store()), now);
}

#[tokio::test]
async fn a_file_that_another_process_wrote_meanwhile_is_left_alone() {
    let disk = Disk::default();
    let store = disk.store();
    assert!(!writes(&store, 0).await);
    disk.breaks_after(0);
    assert!(writes(&store, 1).await);
    disk.is_mended();
    let theirs = {
        let other = disk.store();
        assert!(!writes(&other, 2).await);
        let theirs = held(&other);
        other.close();
        theirs
    };
    assert!(store.commit(put("late", None, "x")).await.is_err());
    let trouble = store.trouble().unwrap();
    assert!(!trouble.is_whole && trouble.why.contains("changed by another"), "{trouble:?}");
    store.close();
    assert_eq!(held(&disk.store()), theirs);
}
