//! Where objects are kept: the truth in memory, a file that survives the process, and what happened lately.
//!
//! Every write is one revision of one counter, as in etcd. A write names the revision it saw, so that nothing is lost
//! between reading and writing; it is answered, and watchers see it, only when it is durable. Nothing here knows what
//! an object means.

mod commit;
mod file;
mod history;
mod key;
mod labels;
mod snapshot;
mod state;
mod stored;

#[cfg(test)]
mod full_tests;
#[cfg(test)]
mod tests;

pub use self::file::StoreError;
pub(super) use self::{
    commit::{CommitError, Observer, Store, Write},
    history::{Bounds, Change, Event, Outrun},
    key::{Key, ResourceId},
    snapshot::{Page, Range},
    stored::{Owner, Stored},
};
