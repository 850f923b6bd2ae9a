//! Leader election by Lease: of several engines on a hub, one works.
//!
//! As client-go does it: the holder renews; a Lease that nobody has renewed for its duration, by the watcher's own
//! clock since it last saw it change, is free. Wall clocks of different machines are never compared.

use std::{pin::pin, time::Duration};

use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{Api, Client, api::PostParams};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::EngineError;
use crate::api::meta;

/// Who wants to hold which Lease, and how long it lasts.
#[derive(Clone, Debug)]
pub struct Election {
    /// Where the Lease is.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Who we are. Another process must not have the same identity, unless it is our own next life.
    pub identity: String,
    /// Others may take the Lease when it was not renewed for so long.
    pub duration: Duration,
    /// We stop working when we could not renew it for so long; shorter than `duration`, for the work to end.
    pub deadline: Duration,
    /// How often to renew, or to look whether it is free.
    pub retry: Duration,
}

/// Name of the Lease of the built-in engine, in [`meta::SYSTEM_NAMESPACE`].
pub const ENGINE_LEASE: &str = "tidegate-engine";

impl Election {
    /// Returns the election for the built-in engine, with client-go's usual times.
    pub fn engine(identity: impl Into<String>) -> Self {
        Self {
            namespace: meta::SYSTEM_NAMESPACE.to_owned(),
            name: ENGINE_LEASE.to_owned(),
            identity: identity.into(),
            duration: Duration::from_secs(15),
            deadline: Duration::from_secs(10),
            retry: Duration::from_secs(2),
        }
    }
}

/// How long work may take to end when the Lease is lost; the rest is broken off.
const LAST_WORDS: Duration = Duration::from_secs(3);
/// How long one request about the Lease may take.
const ANSWER: Duration = Duration::from_secs(3);

/// Whose a Lease is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Standing {
    Mine,
    Free,
    Theirs(String),
}

/// Returns whose a Lease is that was seen unchanged for so long.
fn standing(spec: Option<&LeaseSpec>, me: &str, unchanged: Duration) -> Standing {
    let holder = spec.and_then(|spec| spec.holder_identity.as_deref()).unwrap_or_default();
    let lasts = spec.and_then(|spec| spec.lease_duration_seconds).unwrap_or_default();
    if holder.is_empty() {
        Standing::Free
    } else if holder == me {
        Standing::Mine
    } else if unchanged >= Duration::from_secs(u64::try_from(lasts).unwrap_or_default()) {
        Standing::Free
    } else {
        Standing::Theirs(holder.to_owned())
    }
}

/// Returns the Lease as ours.
fn claimed(spec: Option<&LeaseSpec>, election: &Election, now: Timestamp) -> LeaseSpec {
    let held = spec.cloned().unwrap_or_default();
    let ours = held.holder_identity.as_deref() == Some(&election.identity);
    let transitions = held.lease_transitions.unwrap_or_default();
    LeaseSpec {
        holder_identity: Some(election.identity.clone()),
        lease_duration_seconds: i32::try_from(election.duration.as_secs()).ok(),
        acquire_time: held.acquire_time.filter(|_| ours).or(Some(MicroTime(now))),
        renew_time: Some(MicroTime(now)),
        lease_transitions: Some(if ours { transitions } else { transitions.saturating_add(1) }),
        ..held
    }
}

/// The Lease as one of those sees it who want it.
struct Candidate<'a> {
    api: Api<Lease>,
    election: &'a Election,
    /// What was last seen, and since when it has been so.
    seen: Option<(LeaseSpec, Instant)>,
}

impl Candidate<'_> {
    /// Takes or renews the Lease if it may be taken, and returns whose it is then.
    async fn attempt(&mut self) -> Result<Standing, kube::Error> {
        let Some(lease) = self.api.get_opt(&self.election.name).await? else {
            let metadata =
                ObjectMeta { name: Some(self.election.name.clone()), ..Default::default() };
            let spec = Some(claimed(None, self.election, Timestamp::now()));
            self.api.create(&post(), &Lease { metadata, spec }).await?;
            return Ok(Standing::Mine);
        };
        let spec = lease.spec.clone().unwrap_or_default();
        let since = match &self.seen {
            Some((seen, since)) if *seen == spec => *since,
            _ => Instant::now(),
        };
        self.seen = Some((spec.clone(), since));
        let standing = standing(Some(&spec), &self.election.identity, since.elapsed());
        if matches!(standing, Standing::Theirs(_)) {
            return Ok(standing);
        }
        // The resource version that was read goes along: only one of several takers succeeds.
        let spec = Some(claimed(Some(&spec), self.election, Timestamp::now()));
        self.api.replace(&self.election.name, &post(), &Lease { spec, ..lease }).await?;
        Ok(Standing::Mine)
    }

    async fn attempt_in_time(&mut self) -> Result<Standing, String> {
        match tokio::time::timeout(ANSWER, self.attempt()).await {
            Ok(Ok(standing)) => Ok(standing),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no answer within {} s", ANSWER.as_secs())),
        }
    }

    /// Returns when the Lease is ours.
    async fn acquire(&mut self) {
        let mut said = None;
        loop {
            let now = match self.attempt_in_time().await {
                Ok(Standing::Mine) => return,
                Ok(Standing::Theirs(holder)) => format!("`{holder}` executes runs on this hub"),
                Ok(Standing::Free) => String::new(),
                Err(error) => format!("the Lease cannot be had: {error}"),
            };
            if !now.is_empty() && said.as_ref() != Some(&now) {
                tracing::info!("standing by: {now}");
                said = Some(now);
            }
            tokio::time::sleep(self.election.retry).await;
        }
    }

    /// Renews the Lease, and returns when it is lost: somebody else has it, or it could not be renewed for too long.
    async fn renew(&mut self) -> String {
        let mut renewed = Instant::now();
        loop {
            tokio::time::sleep(self.election.retry).await;
            match self.attempt_in_time().await {
                Ok(Standing::Mine) => renewed = Instant::now(),
                Ok(Standing::Theirs(holder)) => return format!("`{holder}` has taken the Lease"),
                Ok(Standing::Free) => {}
                Err(error) => {
                    tracing::warn!("the Lease was not renewed: {error}");
                    if renewed.elapsed() >= self.election.deadline {
                        return error;
                    }
                }
            }
        }
    }

    /// Gives the Lease back, so that nobody needs to wait for its end.
    async fn release(&self) {
        let release = async {
            let Some(lease) = self.api.get_opt(&self.election.name).await? else { return Ok(()) };
            let mut spec = lease.spec.clone().unwrap_or_default();
            if spec.holder_identity.as_ref() == Some(&self.election.identity) {
                spec.holder_identity = None;
                spec.renew_time = Some(MicroTime(Timestamp::now()));
                let lease = Lease { spec: Some(spec), ..lease };
                self.api.replace(&self.election.name, &post(), &lease).await?;
            }
            Ok::<_, kube::Error>(())
        };
        match tokio::time::timeout(ANSWER, release).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "the Lease was not given back"),
            Err(_) => tracing::debug!("the Lease was not given back in time"),
        }
    }
}

fn post() -> PostParams {
    PostParams { field_manager: Some(meta::ENGINE_MANAGER.to_owned()), ..Default::default() }
}

/// Does `work` while we hold the Lease, again and again until `stop`; `work` gets a token that says when to stop.
///
/// # Errors
/// As `work`. That the Lease cannot be had or kept is no error: others have it, or it is tried again.
pub async fn lead<W>(
    hub: Client,
    election: &Election,
    stop: CancellationToken,
    work: impl Fn(CancellationToken) -> W,
) -> Result<(), EngineError>
where
    W: Future<Output = Result<(), EngineError>>,
{
    let api = Api::namespaced(hub, &election.namespace);
    let mut candidate = Candidate { api, election, seen: None };
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            () = candidate.acquire() => {}
        }
        tracing::info!(identity = election.identity, "this engine executes runs");
        let term = stop.child_token();
        let mut working = pin!(work(term.clone()));
        let lost = tokio::select! {
            done = &mut working => {
                candidate.release().await;
                return done;
            }
            lost = candidate.renew() => lost,
        };
        tracing::warn!("this engine stops, for it no longer has the Lease: {lost}");
        term.cancel();
        // Broken off when it takes longer: somebody else may begin soon.
        let _ = tokio::time::timeout(LAST_WORDS, working).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(holder: Option<&str>) -> LeaseSpec {
        LeaseSpec {
            holder_identity: holder.map(str::to_owned),
            lease_duration_seconds: Some(15),
            ..LeaseSpec::default()
        }
    }

    #[test]
    fn a_lease_is_free_when_given_back_or_not_renewed() {
        let seconds = Duration::from_secs;
        for (holder, unchanged, want) in [
            (None, 0, Standing::Free),
            (Some(""), 0, Standing::Free),
            (Some("me"), 99, Standing::Mine),
            (Some("you"), 14, Standing::Theirs("you".into())),
            (Some("you"), 15, Standing::Free),
        ] {
            let found = standing(Some(&lease(holder)), "me", seconds(unchanged));
            assert_eq!(found, want, "{holder:?} {unchanged}");
        }
        assert_eq!(standing(None, "me", seconds(0)), Standing::Free);
    }

    #[test]
    fn a_renewal_keeps_what_a_takeover_changes() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let election = Election::engine("me");
        let first = claimed(Some(&lease(Some("you"))), &election, at(1));
        assert_eq!(
            (first.acquire_time.clone(), first.lease_transitions),
            (Some(MicroTime(at(1))), Some(1))
        );
        let renewed = claimed(
            Some(&LeaseSpec { acquire_time: Some(MicroTime(at(1))), ..first.clone() }),
            &election,
            at(9),
        );
        assert_eq!(renewed.acquire_time, Some(MicroTime(at(1))));
        assert_eq!(
            (renewed.renew_time, renewed.lease_transitions),
            (Some(MicroTime(at(9))), Some(1))
        );
    }
}
