//! A store that could not write: a full disk has room again at some time, and nobody says so.

use std::{sync::Arc, time::Duration};

use super::super::server::Server;

/// Between two tries to write.
const PROBE_EVERY: Duration = Duration::from_secs(2);

/// Whenever a write has failed, tries until one works. What was to be done meanwhile is then done.
pub(super) async fn watch_over(server: Arc<Server>) {
    loop {
        server.store.alarm().await;
        while server.store.trouble().is_some() {
            tokio::time::sleep(PROBE_EVERY).await;
            server.store.probe().await;
        }
        server.look_at_everything_again();
    }
}
