//! The engine on a hub of its own: with a Lease, members from Secrets, and an eye on Fleet's controllers.

use kube::Client;
use tokio_util::sync::CancellationToken;

use super::{Election, EngineError, Members, Options, Trouble, lead, preflight, roster, run};
use crate::hub::Hub;

/// Runs the engine until `stop` for `members`, and for those beside them that have a kubeconfig on the hub.
///
/// `missing` says what is wrong with a cluster that is neither.
///
/// # Errors
/// As [`run`].
pub async fn run_with_joined(
    hub: Client,
    members: Members,
    missing: fn(&str) -> Trouble,
    options: Options,
    stop: CancellationToken,
) -> Result<(), EngineError> {
    let credentials = roster::keep(hub.clone(), members.clone(), missing, stop.clone());
    let (ended, ()) = tokio::join!(run(hub, members, options, stop.clone()), credentials);
    ended
}

/// Runs the engine whenever `election` is won, with the members that have a kubeconfig on the hub, until `stop`.
///
/// # Errors
/// [`EngineError::Intruder`] when Fleet's controllers come to the hub: the engine has stopped then.
pub async fn execute(
    hub: Client,
    election: &Election,
    options: Options,
    stop: CancellationToken,
) -> Result<(), EngineError> {
    let work = |term: CancellationToken| {
        let (hub, options) = (hub.clone(), options.clone());
        async move {
            let members = Members::new();
            let clock = options.clock.clone();
            let eyes = Hub::new(hub.clone());
            let controllers = run_with_joined(hub, members, roster::missing, options, term.clone());
            let watch = async {
                let intruder = preflight::intruder(&eyes, || clock.now(), term.clone()).await;
                if intruder.is_some() {
                    term.cancel();
                }
                intruder
            };
            match tokio::join!(controllers, watch) {
                (_, Some(testimony)) => Err(EngineError::Intruder(testimony)),
                (ended, None) => ended,
            }
        }
    };
    lead(hub.clone(), election, stop.clone(), work).await
}
