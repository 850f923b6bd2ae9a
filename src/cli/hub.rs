//! The hub that a command talks to, and the Rollouts on it.

use anyhow::anyhow;
use kube::{Api, Client, Config, api::ListParams, config::Kubeconfig};

use super::{
    args::HubArgs,
    failure::{OrHint, hinted},
};
use crate::{
    api::{Rollout, Run, kind, meta},
    hub::{self, Connection},
};

/// A hub, and the namespace that the command is about.
pub(crate) struct Hub {
    pub(crate) client: Client,
    pub(crate) namespace: String,
}

/// Connects as kubectl would, with the flags on top.
pub(crate) async fn connect(args: &HubArgs) -> anyhow::Result<Hub> {
    let config = config(args).await?;
    let namespace = args.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
    let server = config.cluster_url.to_string();
    let client = Client::try_from(config)
        .or_hint(format!("cannot use the hub at {server}"), check_context)?;
    Ok(Hub { client, namespace })
}

fn check_context() -> String {
    "check the server and the credentials of the context in the kubeconfig".to_owned()
}

async fn config(args: &HubArgs) -> anyhow::Result<Config> {
    let connection = match (&args.kubeconfig, &args.context) {
        (None, None) => Connection::Inferred,
        (path, context) => Connection::Kubeconfig { path: path.clone(), context: context.clone() },
    };
    let attempt = match (&args.kubeconfig, &args.context) {
        (Some(file), _) => format!("cannot use the kubeconfig `{}`", file.display()),
        (None, Some(_)) => "cannot use the kubeconfig".to_owned(),
        (None, None) => "cannot find a hub".to_owned(),
    };
    hub::configure(&connection).await.or_hint(attempt, || match &args.kubeconfig {
        None => "name its kubeconfig with --kubeconfig, or in KUBECONFIG".to_owned(),
        Some(file) => match Kubeconfig::read_from(file) {
            Err(_) => "name the kubeconfig of the hub with --kubeconfig".to_owned(),
            Ok(kubeconfig) => {
                let contexts: Vec<String> =
                    kubeconfig.contexts.into_iter().map(|context| context.name).collect();
                format!("name one of its contexts with --context: {}", contexts.join(", "))
            }
        },
    })
}

impl Hub {
    /// Returns the Rollouts of the namespace, or of all.
    pub(crate) async fn rollouts(&self, everywhere: bool) -> anyhow::Result<Vec<Rollout>> {
        let resource = kind::ROLLOUT.resource();
        let api: Api<Rollout> = match everywhere {
            true => Api::all_with(self.client.clone(), &resource),
            false => Api::namespaced_with(self.client.clone(), &self.namespace, &resource),
        };
        let list = api
            .list(&ListParams::default())
            .await
            .or_hint("cannot read the Rollouts", not_there)?;
        Ok(list.items)
    }

    /// Returns the handle of a Rollout, named `name` or `namespace/name`.
    pub(crate) fn rollout_api<'n>(&self, name: &'n str) -> (Api<Rollout>, &'n str) {
        let (namespace, name) = name.split_once('/').unwrap_or((&self.namespace, name));
        (Api::namespaced_with(self.client.clone(), namespace, &kind::ROLLOUT.resource()), name)
    }

    /// Returns the handles of the runs that a Rollout may have: cluster-scoped, and of its namespace.
    pub(crate) fn run_apis(&self, rollout: &Rollout) -> [Api<Run>; 2] {
        let namespace = rollout.metadata.namespace.as_deref().unwrap_or(&self.namespace);
        [
            Api::all_with(self.client.clone(), &kind::CLUSTER_STAGED_UPDATE_RUN.resource()),
            Api::namespaced_with(
                self.client.clone(),
                namespace,
                &kind::STAGED_UPDATE_RUN.resource(),
            ),
        ]
    }

    /// Returns the run that a Rollout's status names.
    pub(crate) async fn run_of(&self, rollout: &Rollout) -> anyhow::Result<Run> {
        let name = required(rollout.status.as_ref().and_then(|status| status.run.as_ref()), "run")?;
        for api in self.run_apis(rollout) {
            let found =
                api.get_opt(name).await.or_hint(format!("cannot read run `{name}`"), not_there)?;
            if let Some(run) = found.filter(|run| is_run_of(run, rollout)) {
                return Ok(run);
            }
        }
        Err(anyhow!("run `{name}` is gone"))
    }

    /// Returns a Rollout.
    pub(crate) async fn rollout(&self, name: &str) -> anyhow::Result<Rollout> {
        let (api, bare) = self.rollout_api(name);
        match api.get_opt(bare).await.or_hint(format!("cannot read Rollout `{name}`"), not_there)? {
            Some(rollout) => Ok(rollout),
            None => {
                let known: Vec<String> = self.rollouts(true).await?.iter().map(full_name).collect();
                let known = if known.is_empty() { "none yet".to_owned() } else { known.join(", ") };
                Err(hinted(
                    format!("there is no Rollout `{name}` in namespace `{}`", self.namespace),
                    format!("there is {known}"),
                ))
            }
        }
    }
}

/// Returns `namespace/name`.
pub(crate) fn full_name(rollout: &Rollout) -> String {
    let metadata = &rollout.metadata;
    let part = |text: &Option<String>| text.clone().unwrap_or_default();
    format!("{}/{}", part(&metadata.namespace), part(&metadata.name))
}

/// Returns whether a run is the one that a Rollout's status names, and was made for it.
pub(crate) fn is_run_of(run: &Run, rollout: &Rollout) -> bool {
    let wanted = rollout.status.as_ref().and_then(|status| status.run.as_deref());
    let made_for =
        run.metadata.annotations.as_ref().and_then(|annotations| annotations.get(meta::ROLLOUT));
    let name = rollout.metadata.name.as_deref().unwrap_or_default();
    wanted.is_some()
        && wanted == run.metadata.name.as_deref()
        && made_for.is_some_and(|of| of.rsplit('/').next() == Some(name))
}

fn not_there() -> String {
    "is this the hub, and does `tidegate run` or `tidegate local` follow a repository on it?"
        .to_owned()
}

/// Returns a name that must be there.
pub(crate) fn required<'a>(value: Option<&'a String>, what: &str) -> anyhow::Result<&'a str> {
    value.map(String::as_str).ok_or_else(|| anyhow!("the Rollout has no {what} yet"))
}
