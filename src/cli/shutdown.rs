//! When to stop.

/// Requests to stop by a person or a supervisor: SIGINT and SIGTERM. From its making on, none of them ends the process, and
/// none is missed.
pub(crate) struct Requests {
    #[cfg(unix)]
    signals: Option<[tokio::signal::unix::Signal; 2]>,
}

impl Requests {
    /// Takes requests from now on.
    pub(crate) fn listen() -> Self {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            let both = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
            let signals = match both {
                (Ok(interrupt), Ok(terminate)) => Some([interrupt, terminate]),
                // No signals to be had: only a kill ends the process.
                _ => None,
            };
            Self { signals }
        }
        #[cfg(not(unix))]
        Self {}
    }

    /// Waits for the next request.
    pub(crate) async fn next(&mut self) {
        #[cfg(unix)]
        match &mut self.signals {
            Some([interrupt, terminate]) => tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            },
            None => std::future::pending().await,
        }
        #[cfg(not(unix))]
        let _ = tokio::signal::ctrl_c().await;
    }
}

/// Waits until somebody asks to stop, from now on.
pub(crate) async fn requested() {
    Requests::listen().next().await;
}
