//! Rollouts on the hub, found as a person names them.

use anyhow::Error;
use kube::{Api, api::ListParams};

use super::{failure::hinted, hub::Hub};
use crate::{
    api::{Rollout, Source, kind},
    model::distance,
};

/// More names than this do not help anybody.
const NAMES_SHOWN: usize = 5;

impl Hub {
    /// Returns the Rollouts of the namespace, or of all.
    pub(crate) async fn rollouts(&self, everywhere: bool) -> anyhow::Result<Vec<Rollout>> {
        self.list(everywhere).await.map_err(|error| self.refused("cannot read the Rollouts", error))
    }

    async fn list(&self, everywhere: bool) -> Result<Vec<Rollout>, kube::Error> {
        let resource = kind::ROLLOUT.resource();
        let api: Api<Rollout> = match everywhere {
            true => Api::all_with(self.client.clone(), &resource),
            false => Api::namespaced_with(self.client.clone(), &self.namespace, &resource),
        };
        Ok(api.list(&ListParams::default()).await?.items)
    }

    /// Returns the handle of the Rollouts in a Rollout's namespace.
    pub(crate) fn beside(&self, rollout: &Rollout) -> Api<Rollout> {
        let namespace = rollout.metadata.namespace.as_deref().unwrap_or(&self.namespace);
        Api::namespaced_with(self.client.clone(), namespace, &kind::ROLLOUT.resource())
    }

    /// Returns the Rollout that a person means by `name`: `namespace/name`, a name in the namespace of `-n`, or a name
    /// that only one Rollout has, of all that the person may see.
    pub(crate) async fn rollout(&self, name: &str) -> anyhow::Result<Rollout> {
        let known = match self.list(true).await {
            // Whoever owns a namespace may see no other.
            Err(kube::Error::Api(status)) if status.is_forbidden() => {
                let namespace = name.split_once('/').map(|(namespace, _)| namespace);
                self.list_in(namespace.unwrap_or(&self.namespace)).await
            }
            listed => listed,
        };
        let known = known.map_err(|error| self.refused("cannot read the Rollouts", error))?;
        let namespace = self.namespace_is_asked.then_some(self.namespace.as_str());
        choose(known, name, namespace)
    }

    /// Returns what the hub tells of sources: nothing where that may not be read, or nobody writes it.
    pub(crate) async fn sources(&self) -> Vec<Source> {
        let listed = self.source_api().list(&ListParams::default()).await;
        listed.map(|list| list.items).unwrap_or_default()
    }

    /// Returns the handle of the sources.
    pub(crate) fn source_api(&self) -> Api<Source> {
        Api::all_with(self.client.clone(), &kind::SOURCE.resource())
    }

    async fn list_in(&self, namespace: &str) -> Result<Vec<Rollout>, kube::Error> {
        let api: Api<Rollout> =
            Api::namespaced_with(self.client.clone(), namespace, &kind::ROLLOUT.resource());
        Ok(api.list(&ListParams::default()).await?.items)
    }
}

/// Chooses the Rollout that `name` means; `namespace` is where a bare name is looked for, anywhere when absent.
fn choose(known: Vec<Rollout>, name: &str, namespace: Option<&str>) -> anyhow::Result<Rollout> {
    let (namespace, bare) = match name.split_once('/') {
        Some((namespace, bare)) => (Some(namespace), bare),
        None => (namespace, name),
    };
    let is_meant = |rollout: &Rollout| {
        rollout.metadata.name.as_deref() == Some(bare)
            && namespace
                .is_none_or(|namespace| rollout.metadata.namespace.as_deref() == Some(namespace))
    };
    let (mut meant, others): (Vec<_>, Vec<_>) = known.into_iter().partition(is_meant);
    match (meant.pop(), &meta_names(&meant)[..]) {
        (None, _) => Err(unknown(bare, namespace, &others)),
        (Some(rollout), []) => Ok(rollout),
        (Some(last), rest) => {
            let names = [rest, &[full_name(&last)]].concat().join(", ");
            Err(hinted(
                format!("`{bare}` is the name of {} Rollouts", rest.len() + 1),
                format!("name the namespace too, or say it with -n: {names}"),
            ))
        }
    }
}

fn meta_names(rollouts: &[Rollout]) -> Vec<String> {
    rollouts.iter().map(full_name).collect()
}

fn unknown(bare: &str, namespace: Option<&str>, others: &[Rollout]) -> Error {
    let place =
        namespace.map_or_else(|| "on this hub".to_owned(), |name| format!("in namespace `{name}`"));
    let message = format!("there is no Rollout `{bare}` {place}");
    if others.is_empty() {
        return hinted(
            message,
            "there is none at all yet: `tidegate run` or `tidegate local REPOSITORY` brings them from Git",
        );
    }
    let mut names: Vec<&Rollout> = others.iter().collect();
    names.sort_by_cached_key(|rollout| {
        let name = rollout.metadata.name.as_deref().unwrap_or_default();
        (distance(bare, name), full_name(rollout))
    });
    let shown: Vec<String> =
        names.iter().take(NAMES_SHOWN).map(|rollout| full_name(rollout)).collect();
    let more = match names.len().saturating_sub(NAMES_SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    hinted(message, format!("there is {}{more}", shown.join(", ")))
}

/// Returns `namespace/name`.
pub(crate) fn full_name(rollout: &Rollout) -> String {
    let metadata = &rollout.metadata;
    let part = |text: &Option<String>| text.clone().unwrap_or_default();
    format!("{}/{}", part(&metadata.namespace), part(&metadata.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::failure;

    fn rollouts(names: &[&str]) -> Vec<Rollout> {
        let one = |name: &&str| {
            let (namespace, name) = name.split_once('/').unwrap();
            let mut rollout = Rollout::new(name, &kind::ROLLOUT.resource(), Default::default());
            rollout.metadata.namespace = Some(namespace.to_owned());
            rollout
        };
        names.iter().map(one).collect()
    }

    #[test]
    fn a_name_means_one_rollout_or_none() {
        let known = ["default/web", "team/web", "team/shop"];
        for (name, namespace, want) in [
            ("shop", None, Ok("team/shop")),
            ("team/web", None, Ok("team/web")),
            ("web", Some("default"), Ok("default/web")),
            ("team/web", Some("default"), Ok("team/web")),
            ("web", None, Err("`web` is the name of 2 Rollouts")),
            ("shop", Some("default"), Err("no Rollout `shop` in namespace `default`")),
            ("shpo", None, Err("there is team/shop, default/web, team/web")),
            ("other/web", None, Err("no Rollout `web` in namespace `other`")),
        ] {
            match (choose(rollouts(&known), name, namespace), want) {
                (Ok(found), Ok(want)) => assert_eq!(full_name(&found), want, "{name}"),
                (Err(error), Err(want)) => {
                    let said = failure::render(&error);
                    assert!(said.contains(want), "{name}: {said}");
                }
                (got, want) => panic!("{name}: {:?}, not {want:?}", got.map(|r| full_name(&r))),
            }
        }
    }

    #[test]
    fn only_the_nearest_names_are_shown() {
        let known = ["a/x1", "a/x2", "a/x3", "a/x4", "a/x5", "a/web", "a/x6"];
        let said = failure::render(&choose(rollouts(&known), "wen", None).unwrap_err());
        assert!(said.contains("there is a/web, a/x1, a/x2, a/x3, a/x4 and 2 more"), "{said}");
    }
}
