//! The durable file: a redb database with one table of objects.

use std::{
    path::{Path, PathBuf},
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
fn unlocked(path: &Path, patience: Duration) -> Result<Database, StoreError> {
    let until = Instant::now() + patience;
    loop {
        match Database::builder().set_cache_size(CACHE_BYTES).create(path) {
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

/// An open file.
pub(super) struct File {
    database: Database,
}

impl File {
    /// Opens or makes the file, and reads its revision and all its objects.
    pub(super) fn open(path: &Path) -> Result<(File, u64, Vec<Stored>), StoreError> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)
                .map_err(|source| StoreError::Folder { path: path.to_owned(), source })?;
        }
        let failed = |source: redb::Error| StoreError::File {
            path: path.to_owned(),
            source: Box::new(source),
        };
        let file = File { database: unlocked(path, LOCK_PATIENCE)? };
        let format = file.prepare().map_err(failed)?;
        if format != THIS_FORMAT {
            return Err(StoreError::Format { path: path.to_owned(), found: format });
        }
        let (revision, rows) = file.read().map_err(failed)?;
        let damaged =
            |key: &str| StoreError::Object { path: path.to_owned(), key: key.replace('\0', "/") };
        let mut objects = Vec::with_capacity(rows.len());
        for (encoded, revision, json) in rows {
            let key = Key::decode(&encoded).ok_or_else(|| damaged(&encoded))?;
            objects.push(Stored::read(key, revision, json).map_err(|_| damaged(&encoded))?);
        }
        Ok((file, revision, objects))
    }

    /// Makes the tables of a new file. Answers the format.
    fn prepare(&self) -> Result<u64, redb::Error> {
        let transaction = self.database.begin_write()?;
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

    #[expect(clippy::type_complexity, reason = "rows as they are in the table")]
    fn read(&self) -> Result<(u64, Vec<(String, u64, Bytes)>), redb::Error> {
        let transaction = self.database.begin_read()?;
        let revision =
            transaction.open_table(NUMBERS)?.get(REVISION)?.map_or(FIRST_REVISION, |r| r.value());
        let mut rows = Vec::new();
        for row in transaction.open_table(OBJECTS)?.iter()? {
            let (key, value) = row?;
            let (revision, json) = value.value();
            rows.push((key.value().to_owned(), revision, Bytes::copy_from_slice(json)));
        }
        Ok((revision, rows))
    }

    /// Writes and deletes in one transaction. When this returns without an error, it is on the disk.
    pub(super) fn write<'s>(
        &self,
        writes: impl Iterator<Item = (&'s Stored, bool)>,
    ) -> Result<(), redb::Error> {
        let transaction = self.database.begin_write()?;
        let mut newest = None;
        {
            let mut objects = transaction.open_table(OBJECTS)?;
            for (object, delete) in writes {
                let key = object.key.encode();
                if delete {
                    objects.remove(key.as_str())?;
                } else {
                    objects.insert(key.as_str(), (object.revision, &object.json[..]))?;
                }
                newest = Some(object.revision);
            }
            if let Some(newest) = newest {
                transaction.open_table(NUMBERS)?.insert(REVISION, newest)?;
            }
        }
        match newest {
            Some(_) => transaction.commit()?,
            None => transaction.abort()?,
        }
        Ok(())
    }
}
