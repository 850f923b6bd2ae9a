//! Objects of the kinds we have types for.

use std::fmt::Debug;

use kube::{
    Api,
    api::{ListParams, Patch, PatchParams, PostParams},
    core::{ApiResource, DynamicResourceScope, Resource},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{Delete, Hub, HubError};
use crate::{api::Kind, model::Scope};

/// What a typed object must be: every alias in [`crate::api`] is.
pub trait Wire:
    Resource<DynamicType = ApiResource, Scope = DynamicResourceScope>
    + Clone
    + Debug
    + Serialize
    + DeserializeOwned
    + Send
    + Sync
    + 'static
{
}

impl<T> Wire for T where
    T: Resource<DynamicType = ApiResource, Scope = DynamicResourceScope>
        + Clone
        + Debug
        + Serialize
        + DeserializeOwned
        + Send
        + Sync
        + 'static
{
}

fn post(manager: &str) -> PostParams {
    PostParams { field_manager: Some(manager.to_owned()), ..Default::default() }
}

impl Hub {
    /// Returns the API of a kind in a scope; the cluster scope of a namespaced kind means all namespaces.
    pub fn api<T: Wire>(&self, kind: Kind, scope: &Scope) -> Api<T> {
        match scope.namespace() {
            Some(namespace) => {
                Api::namespaced_with(self.client.clone(), namespace, &kind.resource())
            }
            None => Api::all_with(self.client.clone(), &kind.resource()),
        }
    }

    /// Returns the object, if there is one.
    ///
    /// # Errors
    /// When the server does not answer, or refuses.
    pub async fn get<T: Wire>(
        &self,
        kind: Kind,
        scope: &Scope,
        name: &str,
    ) -> Result<Option<T>, HubError> {
        let found = self.api(kind, scope).get_opt(name).await;
        found.map_err(|error| HubError::of(error, kind.key(scope, name)))
    }

    /// Returns the object, if there is one, with no other right than that to list.
    ///
    /// # Errors
    /// When the server does not answer, or refuses.
    pub async fn find<T: Wire>(
        &self,
        kind: Kind,
        scope: &Scope,
        name: &str,
    ) -> Result<Option<T>, HubError> {
        let params = ListParams::default().fields(&format!("metadata.name={name}"));
        let found = self.api(kind, scope).list(&params).await;
        let found = found.map_err(|error| HubError::of(error, kind.key(scope, name)))?;
        Ok(found.items.into_iter().next())
    }

    /// Returns all objects of a kind, in one namespace or everywhere, by label selector.
    ///
    /// # Errors
    /// When the server does not answer, or refuses.
    pub async fn list<T: Wire>(
        &self,
        kind: Kind,
        scope: &Scope,
        labels: Option<&str>,
    ) -> Result<Vec<T>, HubError> {
        let params = ListParams { label_selector: labels.map(str::to_owned), ..Default::default() };
        let listed = self.api(kind, scope).list(&params).await;
        listed.map(|list| list.items).map_err(|error| HubError::of(error, kind.key(scope, "*")))
    }

    /// Creates the object.
    ///
    /// # Errors
    /// [`HubError::AlreadyExists`] when there is one of this name.
    pub async fn create<T: Wire>(
        &self,
        kind: Kind,
        scope: &Scope,
        object: &T,
        manager: &str,
    ) -> Result<T, HubError> {
        let name = object.meta().name.clone().unwrap_or_default();
        let created = self.api(kind, scope).create(&post(manager), object).await;
        created.map_err(|error| HubError::of(error, kind.key(scope, &name)))
    }

    /// Replaces the object, all but its status, if it still has the resource version that `object` has.
    ///
    /// # Errors
    /// [`HubError::Stale`] when it changed in the meantime.
    pub async fn replace<T: Wire>(
        &self,
        kind: Kind,
        scope: &Scope,
        object: &T,
        manager: &str,
    ) -> Result<T, HubError> {
        let name = object.meta().name.clone().unwrap_or_default();
        let replaced = self.api(kind, scope).replace(&name, &post(manager), object).await;
        replaced.map_err(|error| HubError::of(error, kind.key(scope, &name)))
    }

    /// Replaces the object's status, if the object still has the resource version that `object` has.
    ///
    /// # Errors
    /// [`HubError::Stale`] when it changed in the meantime.
    pub async fn replace_status<T: Wire>(
        &self,
        kind: Kind,
        scope: &Scope,
        object: &T,
        manager: &str,
    ) -> Result<T, HubError> {
        let name = object.meta().name.clone().unwrap_or_default();
        let replaced = self.api(kind, scope).replace_status(&name, &post(manager), object).await;
        replaced.map_err(|error| HubError::of(error, kind.key(scope, &name)))
    }

    /// Changes the object by a merge patch. A `metadata.resourceVersion` in it is a precondition.
    ///
    /// # Errors
    /// [`HubError::Stale`] when the precondition does not hold.
    pub async fn merge<T: Wire>(
        &self,
        kind: Kind,
        scope: &Scope,
        name: &str,
        patch: &Value,
        manager: &str,
    ) -> Result<T, HubError> {
        let params = PatchParams { field_manager: Some(manager.to_owned()), ..Default::default() };
        let patched = self.api(kind, scope).patch(name, &params, &Patch::Merge(patch)).await;
        patched.map_err(|error| HubError::of(error, kind.key(scope, name)))
    }

    /// Changes the object's status by a merge patch `{"status": …}`.
    ///
    /// # Errors
    /// [`HubError::Stale`] when a `metadata.resourceVersion` in the patch does not hold.
    pub async fn patch_status<T: Wire>(
        &self,
        kind: Kind,
        scope: &Scope,
        name: &str,
        patch: &Value,
        manager: &str,
    ) -> Result<T, HubError> {
        let params = PatchParams { field_manager: Some(manager.to_owned()), ..Default::default() };
        let patched = self.api(kind, scope).patch_status(name, &params, &Patch::Merge(patch)).await;
        patched.map_err(|error| HubError::of(error, kind.key(scope, name)))
    }

    /// Deletes the object. One that is gone already is no error.
    ///
    /// # Errors
    /// [`HubError::Stale`] when the object has another uid than asked for.
    pub async fn delete(
        &self,
        kind: Kind,
        scope: &Scope,
        name: &str,
        how: &Delete<'_>,
    ) -> Result<(), HubError> {
        let api: Api<kube::core::DynamicObject> = self.api(kind, scope);
        match api.delete(name, &how.params()).await {
            Ok(_) => Ok(()),
            Err(error) => match HubError::of(error, kind.key(scope, name)) {
                HubError::NotFound { .. } => Ok(()),
                error => Err(error),
            },
        }
    }
}
