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
            if event.is_ok_and(|event| event.paths.iter().any(|path| concerns_branches(path))) {
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

fn concerns_branches(path: &Path) -> bool {
    let locked = path.extension().is_some_and(|extension| extension == "lock");
    let inside =
        path.components().any(|part| part.as_os_str() == "refs" || part.as_os_str() == "reftable");
    let file = path.file_name().is_some_and(|name| name == "packed-refs" || name == "HEAD");
    !locked && (inside || file)
}
