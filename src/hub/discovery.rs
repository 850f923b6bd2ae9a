//! Which resources the API server serves.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::APIResourceList;
use kube::core::{ApiResource, GroupVersionKind};

use super::{Hub, HubError};

/// A kind that the server serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Group, version, kind and plural.
    pub api: ApiResource,
    /// Whether objects live in a namespace.
    pub namespaced: bool,
    /// Whether objects can be listed and watched.
    pub watchable: bool,
}

/// What was learnt, a group version at a time. A kind that is not in it is looked up again.
#[derive(Debug, Default)]
pub(super) struct Discovery {
    served: Mutex<Served>,
}

#[derive(Debug, Default)]
struct Served {
    /// By `group/version`.
    versions: BTreeMap<String, Arc<[Resource]>>,
    /// Versions of each group, the preferred one first.
    groups: BTreeMap<String, Vec<String>>,
    /// Every resource, once all were asked for.
    all: Option<Arc<[Resource]>>,
    /// Counts how often everything was forgotten.
    epoch: u64,
}

/// Everything that the server serves.
#[derive(Clone, Debug)]
pub struct Inventory {
    /// Every resource at its group's preferred version, and what only other versions have.
    pub resources: Arc<[Resource]>,
    /// Groups whose own server did not answer: what they have is not known.
    pub missing: Vec<String>,
}

impl Discovery {
    fn served(&self) -> MutexGuard<'_, Served> {
        self.served.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps an answer to a question that was asked in `epoch`. One that was forgotten meanwhile may be out of date.
    fn learn(&self, epoch: u64, keep: impl FnOnce(&mut Served)) {
        let mut served = self.served();
        if served.epoch == epoch {
            keep(&mut served);
        }
    }

    fn forget(&self) {
        let mut served = self.served();
        *served = Served { epoch: served.epoch + 1, ..Served::default() };
    }
}

impl Hub {
    /// Returns the resource of a kind at a version. The first question about a group version asks the server, and so
    /// does every question about a kind that was not there.
    ///
    /// # Errors
    /// [`HubError::UnknownKind`] when the server does not serve it.
    pub async fn locate(&self, gvk: &GroupVersionKind) -> Result<Resource, HubError> {
        let api_version = gvk.api_version();
        let find = |resources: &[Resource]| {
            resources.iter().find(|resource| resource.api.kind == gvk.kind).cloned()
        };
        let known = self.discovery.served().versions.get(&api_version).cloned();
        if let Some(resource) = known.and_then(|resources| find(&resources)) {
            return Ok(resource);
        }
        let unknown =
            || HubError::UnknownKind { api_version: api_version.clone(), kind: gvk.kind.clone() };
        match self.discover_version(&api_version).await {
            Ok(resources) => find(&resources).ok_or_else(unknown),
            Err(HubError::NotFound { .. }) => Err(unknown()),
            Err(error) => Err(error),
        }
    }

    /// Returns the resource of a kind at the group's preferred version that has it.
    ///
    /// # Errors
    /// [`HubError::UnknownKind`] when no version of the group has it.
    pub async fn locate_any(&self, group: &str, kind: &str) -> Result<Resource, HubError> {
        for fresh in [false, true] {
            for version in self.versions_of(group, fresh).await? {
                match self.locate(&GroupVersionKind::gvk(group, &version, kind)).await {
                    Err(HubError::UnknownKind { .. }) => {}
                    other => return other,
                }
            }
        }
        Err(HubError::UnknownKind { api_version: group.to_owned(), kind: kind.to_owned() })
    }

    /// Returns everything that the server serves. Asks the server once, until [`Hub::forget_resources`], if all answers
    /// come.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn resources(&self) -> Result<Inventory, HubError> {
        let known = self.discovery.served().all.clone();
        if let Some(resources) = known {
            return Ok(Inventory { resources, missing: Vec::new() });
        }
        let epoch = self.discovery.served().epoch;
        let inventory = self.discover_all().await?;
        if inventory.missing.is_empty() {
            self.discovery.learn(epoch, |served| served.all = Some(inventory.resources.clone()));
        }
        Ok(inventory)
    }

    async fn discover_all(&self) -> Result<Inventory, HubError> {
        let groups = self.discover_groups().await?;
        let (mut all, mut missing): (Vec<Resource>, Vec<String>) = Default::default();
        for (group, versions) in groups {
            let first = all.len();
            for version in versions {
                let resources = match self.discover_version(&join(&group, &version)).await {
                    Ok(resources) => resources,
                    Err(error) if group.is_empty() => return Err(error),
                    Err(error) => {
                        tracing::warn!(%group, %version, %error, "group version not discovered");
                        missing.push(group.clone());
                        continue;
                    }
                };
                for resource in resources.iter() {
                    if !all[first..].iter().any(|known| known.api.kind == resource.api.kind) {
                        all.push(resource.clone());
                    }
                }
            }
        }
        Ok(Inventory { resources: all.into(), missing })
    }

    /// Forgets what was learnt: CustomResourceDefinitions changed.
    pub fn forget_resources(&self) {
        self.discovery.forget();
    }

    async fn versions_of(&self, group: &str, fresh: bool) -> Result<Vec<String>, HubError> {
        if group.is_empty() {
            return Ok(vec!["v1".to_owned()]);
        }
        if !fresh {
            let known = self.discovery.served().groups.get(group).cloned();
            if let Some(versions) = known {
                return Ok(versions);
            }
        }
        Ok(self.discover_groups().await?.remove(group).unwrap_or_default())
    }

    async fn discover_groups(&self) -> Result<BTreeMap<String, Vec<String>>, HubError> {
        let epoch = self.discovery.served().epoch;
        let listed = self
            .client
            .list_api_groups()
            .await
            .map_err(|error| HubError::of(error, "the list of API groups"))?;
        let mut groups = BTreeMap::from([(String::new(), vec!["v1".to_owned()])]);
        for group in listed.groups {
            let preferred = group.preferred_version.map(|version| version.version);
            let mut versions: Vec<String> =
                group.versions.into_iter().map(|version| version.version).collect();
            versions.sort_by_key(|version| Some(version) != preferred.as_ref());
            groups.insert(group.name, versions);
        }
        self.discovery.learn(epoch, |served| served.groups = groups.clone());
        Ok(groups)
    }

    async fn discover_version(&self, api_version: &str) -> Result<Arc<[Resource]>, HubError> {
        let epoch = self.discovery.served().epoch;
        let listed = match api_version.contains('/') {
            true => self.client.list_api_group_resources(api_version).await,
            false => self.client.list_core_api_resources(api_version).await,
        };
        let listed =
            listed.map_err(|error| HubError::of(error, format_args!("`{api_version}`")))?;
        let resources: Arc<[Resource]> = resources_of(api_version, listed).into();
        self.discovery.learn(epoch, |served| {
            served.versions.insert(api_version.to_owned(), resources.clone());
        });
        Ok(resources)
    }
}

fn join(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

fn resources_of(api_version: &str, listed: APIResourceList) -> Vec<Resource> {
    let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
    let main = listed.resources.into_iter().filter(|resource| !resource.name.contains('/'));
    main.map(|resource| Resource {
        watchable: ["list", "watch"]
            .iter()
            .all(|verb| resource.verbs.iter().any(|served| served == verb)),
        namespaced: resource.namespaced,
        api: ApiResource {
            group: group.to_owned(),
            version: version.to_owned(),
            api_version: api_version.to_owned(),
            kind: resource.kind,
            plural: resource.name,
        },
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_before_everything_was_forgotten_is_not_kept() {
        let discovery = Discovery::default();
        let epoch = discovery.served().epoch;
        discovery.forget();
        discovery.learn(epoch, |served| served.all = Some(Arc::new([])));
        assert!(discovery.served().all.is_none(), "a definition may have come in between");
        let epoch = discovery.served().epoch;
        discovery.learn(epoch, |served| served.all = Some(Arc::new([])));
        assert!(discovery.served().all.is_some());
    }
}
