//! How a server is set up.

use std::{fmt, path::PathBuf, sync::Arc};

use jiff::Timestamp;

use super::{signing::KeyError, store::StoreError};

/// Where objects are kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum StoreKind {
    /// In memory: gone with the process.
    #[default]
    Memory,
    /// In this file, made with its folder when absent. Only one server may have it open. Beside it, with the ending
    /// `key`, is the key that tokens of service accounts are signed with.
    File(PathBuf),
}

/// How a server is set up. The default is an empty server in memory on the system's clock.
#[derive(Clone)]
pub struct Options {
    /// Where objects are kept.
    pub store: StoreKind,
    /// Tells the time that is written into objects.
    pub clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    /// Number of events that a resource remembers for watchers that come back. Who is further behind lists again.
    pub watch_history: usize,
    /// Bytes of the objects of those events.
    pub watch_history_bytes: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            store: StoreKind::Memory,
            clock: Arc::new(Timestamp::now),
            // Minutes of a busy resource; kube-apiserver's watch cache holds 100 to 100,000 by its own measure.
            watch_history: 4096,
            watch_history_bytes: 8 << 20,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("store", &self.store).finish_non_exhaustive()
    }
}

/// Why a server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The key that tokens are signed with cannot be had.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// What always exists cannot be made.
    #[error("cannot make the first objects: {0}")]
    First(String),
}
