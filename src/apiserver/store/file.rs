//! The durable file: a redb database with one table of objects.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use redb::{Database, DatabaseError, ReadableDatabase, ReadableTable, TableDefinition};

use super::{key::Key, stored::Stored};

/// The revision before the first write, as etcd counts.
pub(super) const FIRST_REVISION: u64 = 1;
/// Encoded key to revision and JSON text.
const OBJECTS: TableDefinition<'_, &str, (u64, &[u8])> = TableDefinition::new("objects");
const NUMBERS: TableDefinition<'_, &str, u64> = TableDefinition::new("numbers");
const REVISION: &str = "revision";
const FORMAT: &str = "format";
/// The layout of the tables above. Another number is another program's file.
const THIS_FORMAT: u64 = 1;
/// The database caches little: the truth is in memory, and it is read once.
const CACHE_BYTES: usize = 4 << 20;

/// How long a locked file is waited for: a process that was replaced, or another thread's child between its fork and its
/// exec, holds the lock a moment longer than the one who closed the file can see.
const LOCK_PATIENCE: Duration = Duration::from_secs(1);
/// Between two tries: locks of files tell nobody when they are free.
const LOCK_RETRY: Duration = Duration::from_millis(10);

/// A store's file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process, or another server of this one, has it open.
    #[error("data directory is in use by another process: `{0}` is locked")]
    InUse(PathBuf),
    /// The folder of the file cannot be made.
    #[error("cannot make the folder of `{path}`")]
    Folder {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The file is not readable, not writable, or damaged.
    #[error("cannot use `{path}`")]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: Box<redb::Error>,
    },
    /// The file was written by a newer or an older program.
    #[error("`{path}` has format {found}, this program reads format {THIS_FORMAT}")]
    Format {
        /// The file.
        path: PathBuf,
        /// The format it has.
        found: u64,
    },
    /// Somebody else wrote while this process was not looking.
    #[error("`{0}` was changed by another process")]
    Changed(PathBuf),
    /// An object in the file is no JSON.
    #[error("`{path}` holds an object that cannot be read: {key}")]
    Object {
        /// The file.
        path: PathBuf,
        /// The object's key.
        key: String,
    },
    /// No thread to write with.
    #[error("cannot start the thread that writes")]
    Thread(#[source] std::io::Error),
}

/// Opens the database, and waits a moment for another process that is about to end.
fn unlocked(path: &Path, opener: &Opener, patience: Duration) -> Result<Database, StoreError> {
    let until = Instant::now() + patience;
    loop {
        match opener() {
            Ok(database) => return Ok(database),
            Err(DatabaseError::DatabaseAlreadyOpen) if Instant::now() < until => {
                std::thread::sleep(LOCK_RETRY);
            }
            Err(DatabaseError::DatabaseAlreadyOpen) => {
                return Err(StoreError::InUse(path.to_owned()));
            }
            Err(other) => {
                let source = Box::new(other.into());
                return Err(StoreError::File { path: path.to_owned(), source });
            }
        }
    }
}

/// Opens the database, for the first time or after a failed write.
pub(super) type Opener = Box<dyn Fn() -> Result<Database, DatabaseError> + Send>;

/// One object that is written, or deleted.
pub(super) type Change<'s> = (&'s Stored, bool);

/// A file that is written by one process.
///
/// A database that could not write once takes nothing more, and a disk that is full today has room tomorrow. So after a
/// failed write the database is opened again, which undoes what was not finished.
pub(super) struct File {
    path: PathBuf,
    opener: Opener,
    /// None after a failed write, as long as it cannot be opened again.
    database: Option<Database>,
    /// The newest revision that was written whole.
    revision: u64,
    /// What has to be undone if the failed write is found in the file after all.
    doubt: Option<Doubt>,
}

/// A write that failed, perhaps after it had reached the file.
struct Doubt {
    /// Its newest revision.
    revision: u64,
    /// What it changed: each key, and the object before.
    before: Vec<(Key, Option<Arc<Stored>>)>,
}

impl File {
    /// Opens or makes the file, and reads its revision and all its objects.
    pub(super) fn open(path: &Path) -> Result<(File, u64, Vec<Stored>), StoreError> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)
                .map_err(|source| StoreError::Folder { path: path.to_owned(), source })?;
        }
        let file = path.to_owned();
        File::open_with(
            path,
            Box::new(move || Database::builder().set_cache_size(CACHE_BYTES).create(&file)),
        )
    }

    /// Opens what `opener` opens, under the name of `path`.
    pub(super) fn open_with(
        path: &Path,
        opener: Opener,
    ) -> Result<(File, u64, Vec<Stored>), StoreError> {
        let failed = |source: redb::Error| StoreError::File {
            path: path.to_owned(),
            source: Box::new(source),
        };
        let database = unlocked(path, &opener, LOCK_PATIENCE)?;
        let format = prepare(&database).map_err(failed)?;
        if format != THIS_FORMAT {
            return Err(StoreError::Format { path: path.to_owned(), found: format });
        }
        let (revision, rows) = read(&database).map_err(failed)?;
        let damaged =
            |key: &str| StoreError::Object { path: path.to_owned(), key: key.replace('\0', "/") };
        let mut objects = Vec::with_capacity(rows.len());
        for (encoded, revision, json) in rows {
            let key = Key::decode(&encoded).ok_or_else(|| damaged(&encoded))?;
            objects.push(Stored::read(key, revision, json).map_err(|_| damaged(&encoded))?);
        }
        let path = path.to_owned();
        let file = File { path, opener, database: Some(database), revision, doubt: None };
        Ok((file, revision, objects))
    }

    /// Writes and deletes in one transaction. When this returns without an error, it is on the disk; else it is not, and
    /// the file is as before, unless [`File::is_open`] says otherwise. `before` tells of an object as it was.
    pub(super) fn write(
        &mut self,
        changes: &[Change<'_>],
        before: impl Fn(&Key) -> Option<Arc<Stored>>,
    ) -> Result<(), StoreError> {
        let Some((newest, _)) = changes.last() else { return Ok(()) };
        let revision = newest.revision;
        let written =
            changes.iter().map(|(object, delete)| (&object.key, (!delete).then_some(*object)));
        let result = put(self.database()?, written, revision);
        let Err(error) = result else {
            self.revision = revision;
            return Ok(());
        };
        let keys = changes.iter().map(|(object, _)| &object.key);
        let before = keys.map(|key| (key.clone(), before(key))).collect();
        self.doubt = Some(Doubt { revision, before });
        Err(self.failed(error))
    }

    /// Writes nothing new, to see whether writing works.
    pub(super) fn probe(&mut self) -> Result<(), StoreError> {
        let revision = self.revision;
        put(self.database()?, std::iter::empty(), revision).map_err(|error| self.failed(error))
    }

    /// Whether what failed is undone. Else nothing can be written until the file can be opened again.
    pub(super) fn is_open(&self) -> bool {
        self.database.is_some()
    }

    /// Gives up the database that failed, and opens it anew if that is possible at once.
    fn failed(&mut self, source: redb::Error) -> StoreError {
        self.database = None;
        if let Err(error) = self.database() {
            tracing::error!(%error, "the store cannot be opened again after a failed write");
        }
        StoreError::File { path: self.path.clone(), source: Box::new(source) }
    }

    /// The database, opened again if it has to be, without what a failed write left in it.
    fn database(&mut self) -> Result<&Database, StoreError> {
        let database = match self.database.take() {
            Some(database) => database,
            None => self.reopened()?,
        };
        Ok(self.database.insert(database))
    }

    fn reopened(&mut self) -> Result<Database, StoreError> {
        let failed = |path: &Path, source| StoreError::File {
            path: path.to_owned(),
            source: Box::new(source),
        };
        let database = unlocked(&self.path, &self.opener, Duration::ZERO)?;
        let found = revision_of(&database).map_err(|error| failed(&self.path, error))?;
        match &self.doubt {
            _ if found == self.revision => {}
            Some(doubt) if found == doubt.revision => {
                let before = doubt.before.iter().map(|(key, object)| (key, object.as_deref()));
                put(&database, before, self.revision).map_err(|error| failed(&self.path, error))?;
            }
            _ => return Err(StoreError::Changed(self.path.clone())),
        }
        self.doubt = None;
        Ok(database)
    }
}

/// Makes the tables of a new file. Answers the format.
fn prepare(database: &Database) -> Result<u64, redb::Error> {
    let transaction = database.begin_write()?;
    let format = {
        transaction.open_table(OBJECTS)?;
        let mut numbers = transaction.open_table(NUMBERS)?;
        let format = numbers.get(FORMAT)?.map(|format| format.value());
        if format.is_none() {
            numbers.insert(FORMAT, THIS_FORMAT)?;
            numbers.insert(REVISION, FIRST_REVISION)?;
        }
        format.unwrap_or(THIS_FORMAT)
    };
    transaction.commit()?;
    Ok(format)
}

fn revision_of(database: &Database) -> Result<u64, redb::Error> {
    let numbers = database.begin_read()?.open_table(NUMBERS)?;
    Ok(numbers.get(REVISION)?.map_or(FIRST_REVISION, |revision| revision.value()))
}

#[expect(clippy::type_complexity, reason = "rows as they are in the table")]
fn read(database: &Database) -> Result<(u64, Vec<(String, u64, Bytes)>), redb::Error> {
    let mut rows = Vec::new();
    for row in database.begin_read()?.open_table(OBJECTS)?.iter()? {
        let (key, value) = row?;
        let (revision, json) = value.value();
        rows.push((key.value().to_owned(), revision, Bytes::copy_from_slice(json)));
    }
    Ok((revision_of(database)?, rows))
}

/// Writes each object under its key, or removes what is there, and sets the revision, in one transaction.
fn put<'s>(
    database: &Database,
    objects: impl Iterator<Item = (&'s Key, Option<&'s Stored>)>,
    revision: u64,
) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    {
        let mut table = transaction.open_table(OBJECTS)?;
        for (key, object) in objects {
            let key = key.encode();
            match object {
                Some(object) => {
                    table.insert(key.as_str(), (object.revision, &object.json[..]))?;
                }
                None => {
                    table.remove(key.as_str())?;
                }
            }
        }
        transaction.open_table(NUMBERS)?.insert(REVISION, revision)?;
    }
    transaction.commit()?;
    Ok(())
}
