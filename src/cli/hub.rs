//! The hub that a command talks to, and what to say when it does not answer.

use anyhow::Error;
use kube::{Api, Client, Config, config::Kubeconfig};

use super::{
    args::HubArgs,
    failure::{OrHint, because, hinted},
};
use crate::{
    api::{Rollout, Run, kind, meta},
    hub::{self, Connection},
};

/// A hub, and the namespace that the command is about.
pub(crate) struct Hub {
    pub(crate) client: Client,
    /// That of `-n`, else that of the context.
    pub(crate) namespace: String,
    /// Whether somebody asked for this namespace with `-n`.
    pub(super) namespace_is_asked: bool,
    server: String,
    args: HubArgs,
}

/// Connects as kubectl would, with the flags on top. Sends nothing yet.
pub(crate) async fn connect(args: &HubArgs) -> anyhow::Result<Hub> {
    let config = config(args).await?;
    let namespace = args.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
    let server = config.cluster_url.to_string().trim_end_matches('/').to_owned();
    let client = Client::try_from(config)
        .or_hint(format!("cannot use the hub at {server}"), || {
            "check the server and the credentials of the context in the kubeconfig".to_owned()
        })?;
    let namespace_is_asked = args.namespace.is_some();
    Ok(Hub { client, namespace, namespace_is_asked, server, args: args.clone() })
}

async fn config(args: &HubArgs) -> anyhow::Result<Config> {
    let connection = match (&args.kubeconfig, &args.context) {
        (None, None) => Connection::Inferred,
        (path, context) => Connection::Kubeconfig { path: path.clone(), context: context.clone() },
    };
    let error = match hub::configure(&connection).await {
        Ok(config) => return Ok(config),
        Err(error) => error,
    };
    let name_it = "name the hub's kubeconfig with --kubeconfig, or in KUBECONFIG; `tidegate local` writes one and says where";
    let of = || {
        args.kubeconfig.as_ref().map_or_else(String::new, |file| format!(" `{}`", file.display()))
    };
    // Whichever way was taken, what is wrong is in the file: read it again, and say that first.
    Err(match kubeconfig(args) {
        Err(kube::config::KubeconfigError::ReadConfig(why, file)) => {
            hinted(format!("cannot read the kubeconfig `{}`: {why}", file.display()), name_it)
        }
        Err(unreadable) => {
            because(format!("the kubeconfig{} is not one", of()), unreadable, name_it)
        }
        Ok(file) => {
            let contexts = contexts(&file);
            match args.context.as_ref().or(file.current_context.as_ref()) {
                None => hinted(
                    format!("the kubeconfig{} has no current context", of()),
                    choose(&contexts),
                ),
                Some(wanted) if !contexts.contains(wanted) => hinted(
                    format!("the kubeconfig{} has no context `{wanted}`", of()),
                    choose(&contexts),
                ),
                Some(wanted) => Error::new(error)
                    .context(format!("cannot use context `{wanted}` of the kubeconfig{}", of())),
            }
        }
    })
}

fn kubeconfig(args: &HubArgs) -> Result<Kubeconfig, kube::config::KubeconfigError> {
    match &args.kubeconfig {
        Some(file) => Kubeconfig::read_from(file),
        None => Kubeconfig::read(),
    }
}

fn contexts(kubeconfig: &Kubeconfig) -> Vec<String> {
    kubeconfig.contexts.iter().map(|context| context.name.clone()).collect()
}

fn choose(contexts: &[String]) -> String {
    match contexts {
        [] => "it has no contexts at all".to_owned(),
        contexts => format!("name one with --context: {}", contexts.join(", ")),
    }
}

impl Hub {
    /// Says why a request for `doing` failed, and what would help.
    pub(crate) fn refused(&self, doing: &str, error: kube::Error) -> Error {
        let server = &self.server;
        match error {
            kube::Error::Api(status) if status.code == 401 => hinted(
                format!("{doing}: {server} does not know who you are (401 Unauthorized)"),
                "the token or certificate in the kubeconfig is wrong or has expired; get a fresh kubeconfig",
            ),
            kube::Error::Api(status) if status.code == 403 => hinted(
                format!("{doing}: {}", status.message),
                format!(
                    "{server} knows you, but does not allow it; `kubectl auth can-i --list` shows what it allows"
                ),
            ),
            kube::Error::Api(status) if status.code == 404 => hinted(
                format!("{doing}: {server} knows no Rollouts, so it is not the hub"),
                self.other_contexts(),
            ),
            kube::Error::Api(status) => Error::msg(format!(
                "{doing}: {server} answers: {} ({})",
                status.message, status.code
            )),
            error => because(
                format!("{doing}: no answer from {server}"),
                innermost(&error),
                "is the hub up? `tidegate local` must run for as long as its fleet is used; else check the context's server",
            ),
        }
    }

    fn other_contexts(&self) -> String {
        let contexts = kubeconfig(&self.args).map(|file| contexts(&file)).unwrap_or_default();
        match &contexts[..] {
            [] | [_] => {
                "`tidegate run` makes a cluster a hub; name another kubeconfig with --kubeconfig"
                    .to_owned()
            }
            contexts => format!("name the hub's context with --context: {}", contexts.join(", ")),
        }
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

    /// Returns the run that a Rollout's status names, if there is one.
    pub(crate) async fn run_of(&self, rollout: &Rollout) -> anyhow::Result<Option<Run>> {
        let Some(name) = rollout.status.as_ref().and_then(|status| status.run.as_deref()) else {
            return Ok(None);
        };
        let mut refusal = None;
        for api in self.run_apis(rollout) {
            match api.get_opt(name).await {
                Ok(found) => {
                    if let Some(run) = found.filter(|run| is_run_of(run, rollout)) {
                        return Ok(Some(run));
                    }
                }
                // Whoever owns a namespace may have no business with runs of the cluster.
                Err(kube::Error::Api(status)) if status.is_forbidden() => {
                    refusal = Some(kube::Error::Api(status));
                }
                Err(error) => return Err(self.refused(&format!("cannot read run `{name}`"), error)),
            }
        }
        match refusal {
            Some(error) => Err(self.refused(&format!("cannot read run `{name}`"), error)),
            None => Ok(None),
        }
    }
}

/// Returns what the transport's error comes down to; the layers above it only say that they failed.
pub(super) fn innermost(error: &kube::Error) -> Error {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    Error::msg(cause.to_string())
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
