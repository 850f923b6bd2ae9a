//! Word of a push to a local repository, the moment it happens.

use std::path::Path;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

use super::repository::common_dir;

/// Tells of changes until it is dropped. Several changes at once are told once.
pub struct Watch {
    _watcher: RecommendedWatcher,
    changes: mpsc::Receiver<()>,
}

impl Watch {
    /// Watches the branches of the repository at `path`. Nothing when it cannot be watched: polling still finds everything,
    /// only later.
    pub fn start(path: &Path) -> Option<Self> {
        let folder = common_dir(path)?;
        let (sender, changes) = mpsc::channel(1);
        let told = move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| is_push(&event)) {
                // Full means that somebody is told already.
                let _ = sender.try_send(());
            }
        };
        let mut watcher = notify::recommended_watcher(told).ok()?;
        // Folders, not files: git replaces the files.
        watcher.watch(&folder, RecursiveMode::NonRecursive).ok()?;
        for inside in ["refs", "reftable"] {
            let inside = folder.join(inside);
            if inside.is_dir() {
                watcher.watch(&inside, RecursiveMode::Recursive).ok()?;
            }
        }
        Some(Self { _watcher: watcher, changes })
    }

    /// Waits for the next change.
    pub async fn changed(&mut self) {
        if self.changes.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }
}

/// Returns whether an event can be a push. Reading is an event as well: without looking at the kind, each poll would call
/// for the next.
fn is_push(event: &notify::Event) -> bool {
    let written = !event.kind.is_access() && event.paths.iter().any(|path| concerns_branches(path));
    written || event.need_rescan()
}

fn concerns_branches(path: &Path) -> bool {
    let locked = path.extension().is_some_and(|extension| extension == "lock");
    let inside =
        path.components().any(|part| part.as_os_str() == "refs" || part.as_os_str() == "reftable");
    let file = path.file_name().is_some_and(|name| name == "packed-refs" || name == "HEAD");
    !locked && (inside || file)
}

#[cfg(test)]
mod tests {
    use notify::{
        Event, EventKind,
        event::{AccessKind, AccessMode, CreateKind, Flag, ModifyKind, RenameMode},
    };

    use super::*;

    #[test]
    fn a_push_is_written_and_not_read() {
        let renamed = EventKind::Modify(ModifyKind::Name(RenameMode::To));
        let opened = EventKind::Access(AccessKind::Open(AccessMode::Any));
        for (kind, path, want) in [
            (renamed, "/r/.git/refs/heads/main", true),
            (renamed, "/r/.git/packed-refs", true),
            (renamed, "/r/.git/reftable/0x1.ref", true),
            (EventKind::Create(CreateKind::File), "/r/.git/refs/heads/main.lock", false),
            (EventKind::Create(CreateKind::File), "/r/.git/index", false),
            (opened, "/r/.git/refs/heads/main", false),
            (opened, "/r/.git/packed-refs", false),
        ] {
            let event = Event::new(kind).add_path(path.into());
            assert_eq!(is_push(&event), want, "{kind:?} {path}");
        }
        let lost = Event::new(EventKind::Other).set_flag(Flag::Rescan);
        assert!(is_push(&lost), "what was lost may have been one");
    }
}
