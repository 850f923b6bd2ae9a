//! The agents of all members, which come and go with them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio_util::sync::CancellationToken;

use super::{
    Again, Change, Context, EngineError, Key,
    agent::Agent,
    work::{self, leaving, member_of},
};
use crate::{
    api::{
        MemberCluster,
        condition::is_true,
        member::{HEALTHY, MEMBER_AGENT},
        meta,
    },
    hub::Hub,
};

type Held = BTreeMap<String, (Arc<Agent>, CancellationToken)>;

/// The agents of all members that the engine has hands on.
#[derive(Default)]
pub(super) struct Agents {
    agents: Mutex<Held>,
}

impl Agents {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.agents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a member's agent.
    pub(super) fn get(&self, cluster: &str) -> Option<Arc<Agent>> {
        self.held().get(cluster).map(|(agent, _)| agent.clone())
    }

    /// Starts and stops agents as members come and go, until `stop`.
    pub(super) async fn keep(self: Arc<Self>, ctx: Arc<Context>, stop: CancellationToken) {
        self.listen(&ctx);
        let mut changes = ctx.members.changes();
        loop {
            changes.mark_unchanged();
            self.match_members(&ctx, &stop);
            tokio::select! {
                () = stop.cancelled() => break,
                changed = changes.changed() => if changed.is_err() { break },
            }
        }
        self.held().clear();
    }

    /// Looks at every work of a member that is well again.
    fn listen(self: &Arc<Self>, ctx: &Arc<Context>) {
        let (agents, held) = (Arc::downgrade(self), Arc::downgrade(ctx));
        ctx.clusters.listen(move |change: &Change<'_, MemberCluster>| {
            let well = |cluster: Option<&Arc<MemberCluster>>| cluster.is_some_and(|c| healthy(c));
            if well(change.new)
                && !well(change.old)
                && let (Some(agents), Some(ctx)) = (agents.upgrade(), held.upgrade())
                && let Some(agent) = agents.get(&change.key.name)
            {
                agent.look_at_all(&ctx);
            }
        });
    }

    fn match_members(&self, ctx: &Arc<Context>, stop: &CancellationToken) {
        let open = ctx.members.open();
        self.held().retain(|name, (agent, stop)| {
            let kept = open.iter().any(|(open, _, number)| open == name && *number == agent.number);
            if !kept {
                stop.cancel();
            }
            kept
        });
        for (name, hub, number) in open {
            if self.get(&name).is_none() {
                let stop = stop.child_token();
                let agent = start(ctx, name.clone(), hub, number, stop.clone());
                self.held().insert(name, (agent.clone(), stop));
                tokio::spawn(catch_up(ctx.clone(), agent));
            }
        }
    }
}

fn healthy(cluster: &MemberCluster) -> bool {
    let agents = cluster.status.as_ref().and_then(|status| status.agent_status.as_ref());
    let mut agents = agents.into_iter().flatten();
    agents.any(|agent| agent.kind == MEMBER_AGENT && is_true(&agent.conditions, HEALTHY))
}

/// Starts a member's agent; it works until `stop`.
fn start(
    ctx: &Arc<Context>,
    cluster: String,
    hub: Hub,
    number: u64,
    stop: CancellationToken,
) -> Arc<Agent> {
    let agent = Agent::new(cluster, hub, number);
    let (kept, halt) = (agent.clone(), stop.clone());
    tokio::spawn(async move { kept.anchors.keep(halt).await });
    let (held, working) = (ctx.clone(), Arc::downgrade(&agent));
    let width = ctx.options.width;
    tokio::spawn(agent.queue.clone().run(width, stop, move |key| {
        let (ctx, agent) = (held.clone(), working.upgrade());
        async move {
            match agent {
                Some(agent) => work::reconcile(ctx, agent, key).await,
                None => Ok(Again::No),
            }
        }
    }));
    agent
}

/// Looks at every work of a member when its agent knows what is there.
async fn catch_up(ctx: Arc<Context>, agent: Arc<Agent>) {
    agent.anchors.ready().await;
    agent.look_at_all(&ctx);
}

/// Gives a work to the agent of its member, if there is one, or lets it go with a cluster that leaves.
///
/// # Errors
/// When the hub does not answer.
pub(super) async fn route(
    ctx: Arc<Context>,
    agents: Arc<Agents>,
    key: Key,
) -> Result<Again, EngineError> {
    let Some(work) = ctx.works.get(&key) else { return Ok(Again::No) };
    if leaving(&ctx, &key) {
        ctx.works.remove_finalizer(&work, meta::WORK_FINALIZER).await?;
    } else if let Some(agent) = member_of(&key).and_then(|name| agents.get(name)) {
        agent.look_at(key);
    }
    Ok(Again::No)
}
