//! Who executes the runs of a hub, and our own engine if it is we.

use jiff::Timestamp;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::failure::{OrHint, because, hinted};
use crate::{
    config::Engine,
    engine::{
        Election, EngineError, Options, Presence, SnapshotMode, Unfit, check_hub, execute, presence,
    },
    hub::{Hub, HubError},
    model::Hint,
};

/// Who executes runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Executor {
    /// The engine of this process, when it has the Lease.
    Ours,
    /// Fleet's controllers, or somebody else.
    Others,
}

/// Finds out who executes runs on a hub, and that whoever was asked for can.
pub(super) async fn executor(asked: Engine, hub: &kube::Client) -> anyhow::Result<Executor> {
    // Said in so many words: believed, and looking would take rights that nothing else needs.
    if matches!(asked, Engine::Fleet | Engine::None) {
        return Ok(Executor::Others);
    }
    let hub = Hub::new(hub.clone());
    let found = presence(&hub, Timestamp::now()).await;
    let executor = decide(asked, found)?;
    if executor == Executor::Ours {
        check(&hub).await?;
    }
    Ok(executor)
}

async fn check(hub: &Hub) -> anyhow::Result<()> {
    match check_hub(hub).await {
        Ok(()) => Ok(()),
        Err(Unfit::Hub(error)) => {
            let hint = error.hint().unwrap_or_else(|| "check that the hub answers".to_owned());
            Err(error).or_hint("cannot check the hub", || hint)
        }
        Err(unfit) => Err(refused(&unfit)),
    }
}

fn refused(unfit: &Unfit) -> anyhow::Error {
    hinted(unfit.to_string(), unfit.hint().unwrap_or_default())
}

/// Decides from what was asked for, and from what can be seen of Fleet's controllers.
fn decide(asked: Engine, found: Result<Presence, HubError>) -> anyhow::Result<Executor> {
    let found = found.map_err(|error| {
        let hint = match error.hint().filter(|_| error.is_about_the_way()) {
            Some(hint) => hint,
            None => "if they do, use --engine fleet; the built-in engine needs the rights that `tidegate install` gives".to_owned(),
        };
        because("cannot tell whether Fleet's controllers execute the runs on this hub", error, hint)
    });
    match (asked, found) {
        (Engine::Fleet | Engine::None, _) => Ok(Executor::Others),
        (Engine::Auto | Engine::Builtin, Err(error)) => Err(error),
        (Engine::Auto | Engine::Builtin, Ok(Presence::Absent)) => Ok(Executor::Ours),
        (Engine::Auto, Ok(Presence::Working(testimony))) => {
            tracing::info!("Fleet's controllers execute the runs: {testimony}");
            Ok(Executor::Others)
        }
        (Engine::Auto, Ok(Presence::Idle(testimony))) => Err(hinted(
            format!("Fleet's controllers were on this hub, but do not work now: {testimony}"),
            "say who executes the runs: --engine fleet if they come back, --engine builtin if they are gone for good",
        )),
        (Engine::Builtin, Ok(Presence::Working(testimony))) => {
            Err(refused(&Unfit::Fleet { testimony }))
        }
        (Engine::Builtin, Ok(Presence::Idle(testimony))) => {
            tracing::warn!(
                "Fleet's controllers were on this hub, and must not come back: {testimony}"
            );
            Ok(Executor::Ours)
        }
    }
}

/// Starts the engine. It works whenever it has the Lease.
pub(super) fn start(
    hub: kube::Client,
    snapshot_mode: SnapshotMode,
    stop: CancellationToken,
) -> JoinHandle<Result<(), EngineError>> {
    let options = Options { snapshot_mode, ..Options::default() };
    let election = Election::engine(identity());
    tokio::spawn(async move { execute(hub, &election, options, stop).await })
}

/// Names this process among those that want the Lease: for people by its host, and unlike every other.
fn identity() -> String {
    let host =
        std::env::var("HOSTNAME").ok().or_else(|| std::fs::read_to_string("/etc/hostname").ok());
    let host = host.map(|host| host.trim().to_owned()).filter(|host| !host.is_empty());
    format!("{}_{}", host.unwrap_or_else(|| "tidegate".to_owned()), uuid::Uuid::new_v4())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_engine_never_runs_beside_fleets() {
        let working = || Ok(Presence::Working("testimony".to_owned()));
        let idle = || Ok(Presence::Idle("testimony".to_owned()));
        let unseen =
            || Err(HubError::Forbidden { what: "Lease".to_owned(), message: "no".to_owned() });
        type Found = fn() -> Result<Presence, HubError>;
        let cases: [(Engine, Found, Result<Executor, &str>); 12] = [
            (Engine::Auto, || Ok(Presence::Absent), Ok(Executor::Ours)),
            (Engine::Auto, working, Ok(Executor::Others)),
            (Engine::Auto, idle, Err("do not work now")),
            (Engine::Auto, unseen, Err("cannot tell")),
            (Engine::Builtin, || Ok(Presence::Absent), Ok(Executor::Ours)),
            (Engine::Builtin, working, Err("execute the runs on this hub: testimony")),
            (Engine::Builtin, idle, Ok(Executor::Ours)),
            (Engine::Builtin, unseen, Err("cannot tell")),
            (Engine::Fleet, || Ok(Presence::Absent), Ok(Executor::Others)),
            (Engine::Fleet, working, Ok(Executor::Others)),
            (Engine::Fleet, unseen, Ok(Executor::Others)),
            (Engine::None, working, Ok(Executor::Others)),
        ];
        for (asked, found, want) in cases {
            match (decide(asked, found()), want) {
                (Ok(got), Ok(want)) => assert_eq!(got, want, "{asked:?}"),
                (Err(error), Err(part)) => {
                    assert!(error.to_string().contains(part), "{asked:?}: {error}");
                    assert!(super::super::failure::render(&error).contains("hint: "));
                }
                (got, want) => panic!("{asked:?}: {got:?}, not {want:?}"),
            }
        }
    }
}
