//! Whole objects of any kind, as JSON.
//!
//! Values go to and come from the wire as they are: no typed struct in between that would drop fields.

use kube::{
    api::{DeleteParams, GetParams, ListParams, Patch, PatchParams, Preconditions},
    core::{ApiResource, DynamicObject, GroupVersionKind, Request, Resource as _},
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Hub, HubError, Resource};
use crate::model::ObjectKey;

/// How to apply.
#[derive(Clone, Copy, Debug)]
pub struct Apply<'a> {
    /// The field manager.
    pub manager: &'a str,
    /// Take fields over from other managers.
    pub force: bool,
    /// Let the server judge the request, and store nothing.
    pub dry_run: bool,
}

/// How to delete.
#[derive(Clone, Debug, Default)]
pub struct Delete<'a> {
    /// Only the object with this uid.
    pub uid: Option<&'a str>,
    /// Delete dependents first, the object after them.
    pub foreground: bool,
}

impl Delete<'_> {
    pub(super) fn params(&self) -> DeleteParams {
        let params =
            if self.foreground { DeleteParams::foreground() } else { DeleteParams::background() };
        let preconditions =
            self.uid.map(|uid| Preconditions { uid: Some(uid.to_owned()), resource_version: None });
        DeleteParams { preconditions, ..params }
    }
}

/// Group, version, kind, namespace and name of an object that goes to the server.
struct Address {
    gvk: GroupVersionKind,
    namespace: Option<String>,
    name: String,
}

impl Address {
    fn of(object: &Value) -> Result<Self, HubError> {
        let text = |pointer: &str| {
            object.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty())
        };
        let malformed = |detail: &str| HubError::Malformed {
            what: format!(
                "{} {}",
                text("/kind").unwrap_or("an object"),
                text("/metadata/name").unwrap_or_default()
            ),
            detail: detail.to_owned(),
        };
        let api_version = text("/apiVersion").ok_or_else(|| malformed("it has no apiVersion"))?;
        let kind = text("/kind").ok_or_else(|| malformed("it has no kind"))?;
        let name = text("/metadata/name").ok_or_else(|| malformed("it has no metadata.name"))?;
        let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
        Ok(Self {
            gvk: GroupVersionKind::gvk(group, version, kind),
            namespace: text("/metadata/namespace").map(str::to_owned),
            name: name.to_owned(),
        })
    }

    fn key(&self) -> ObjectKey {
        ObjectKey {
            group: self.gvk.group.clone(),
            kind: self.gvk.kind.clone(),
            namespace: self.namespace.clone().unwrap_or_default(),
            name: self.name.clone(),
        }
    }
}

fn requests(api: &ApiResource, namespace: Option<&str>) -> Request {
    Request::new(DynamicObject::url_path(api, namespace))
}

fn built(
    request: Result<http::Request<Vec<u8>>, kube::core::request::Error>,
    what: &ObjectKey,
) -> Result<http::Request<Vec<u8>>, HubError> {
    request
        .map_err(|error| HubError::Malformed { what: what.to_string(), detail: error.to_string() })
}

impl Hub {
    /// Applies `object` (server-side apply) and returns what is stored now.
    ///
    /// # Errors
    /// [`HubError::Conflict`] names the managers and paths that stand against it, unless `how.force`.
    pub async fn apply_with(&self, object: &Value, how: Apply<'_>) -> Result<Value, HubError> {
        let (resource, address) = self.address(object).await?;
        let params = PatchParams {
            force: how.force,
            dry_run: how.dry_run,
            ..PatchParams::apply(how.manager)
        };
        let request = requests(&resource.api, address.namespace.as_deref());
        let request = request.patch(&address.name, &params, &Patch::Apply(object));
        self.send(request, &address.key()).await
    }

    /// [`Hub::apply_with`], for real.
    ///
    /// # Errors
    /// As [`Hub::apply_with`].
    pub async fn apply(
        &self,
        object: &Value,
        manager: &str,
        force: bool,
    ) -> Result<Value, HubError> {
        self.apply_with(object, Apply { manager, force, dry_run: false }).await
    }

    /// Creates `object`.
    ///
    /// # Errors
    /// [`HubError::AlreadyExists`] when there is one.
    pub async fn create_object(&self, object: &Value, manager: &str) -> Result<Value, HubError> {
        let (resource, address) = self.address(object).await?;
        let body = serde_json::to_vec(object).map_err(|error| HubError::Malformed {
            what: address.key().to_string(),
            detail: error.to_string(),
        })?;
        let params =
            kube::api::PostParams { field_manager: Some(manager.to_owned()), ..Default::default() };
        let request = requests(&resource.api, address.namespace.as_deref()).create(&params, body);
        self.send(request, &address.key()).await
    }

    /// Changes an object by an RFC 7386 merge patch. A `metadata.resourceVersion` in the patch is a precondition.
    ///
    /// # Errors
    /// [`HubError::Stale`] when the precondition does not hold, [`HubError::NotFound`] when there is no such object.
    pub async fn merge_object(
        &self,
        resource: &Resource,
        key: &ObjectKey,
        patch: &Value,
        manager: &str,
    ) -> Result<Value, HubError> {
        let params = PatchParams { field_manager: Some(manager.to_owned()), ..Default::default() };
        let request = requests(&resource.api, namespace(key));
        self.send(request.patch(&key.name, &params, &Patch::Merge(patch)), key).await
    }

    /// Changes an object's status subresource by a merge patch `{"status": …}`.
    ///
    /// # Errors
    /// As [`Hub::merge_object`].
    pub async fn merge_object_status(
        &self,
        key: &ObjectKey,
        patch: &Value,
        manager: &str,
    ) -> Result<Value, HubError> {
        let resource = self.locate_any(&key.group, &key.kind).await?;
        let params = PatchParams { field_manager: Some(manager.to_owned()), ..Default::default() };
        let request = requests(&resource.api, namespace(key));
        let request = request.patch_subresource("status", &key.name, &params, &Patch::Merge(patch));
        self.send(request, key).await
    }

    /// Returns the object, if there is one, at its group's preferred version.
    ///
    /// # Errors
    /// [`HubError::UnknownKind`] when the kind is not served.
    pub async fn get_object(&self, key: &ObjectKey) -> Result<Option<Value>, HubError> {
        let resource = self.locate_any(&key.group, &key.kind).await?;
        self.get_object_at(&resource, key).await
    }

    /// Returns the object, if there is one, at the resource's version.
    ///
    /// # Errors
    /// When the server does not answer, or refuses.
    pub async fn get_object_at(
        &self,
        resource: &Resource,
        key: &ObjectKey,
    ) -> Result<Option<Value>, HubError> {
        let request = requests(&resource.api, namespace(key)).get(&key.name, &GetParams::default());
        match self.send(request, key).await {
            Ok(object) => Ok(Some(object)),
            Err(HubError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns all objects of a resource, in one namespace or everywhere, or those of one name only.
    ///
    /// # Errors
    /// When the server does not answer, or refuses.
    pub async fn list_objects(
        &self,
        resource: &Resource,
        within: Option<&str>,
        named: Option<&str>,
    ) -> Result<Vec<Value>, HubError> {
        const PAGE: u32 = 500;
        let what = ObjectKey {
            group: resource.api.group.clone(),
            kind: resource.api.kind.clone(),
            namespace: within.unwrap_or_default().to_owned(),
            name: named.unwrap_or("*").to_owned(),
        };
        let mut params = match named {
            Some(name) => ListParams::default().fields(&format!("metadata.name={name}")),
            None => ListParams::default().limit(PAGE),
        };
        let mut all = Vec::new();
        loop {
            let request = requests(&resource.api, within).list(&params);
            let mut page: Value = self.send(request, &what).await?;
            if let Value::Array(items) = page["items"].take() {
                all.extend(items.into_iter().map(|item| typed(item, &resource.api)));
            }
            match page.pointer("/metadata/continue").and_then(Value::as_str) {
                Some(token) if !token.is_empty() => params.continue_token = Some(token.to_owned()),
                _ => return Ok(all),
            }
        }
    }

    /// Deletes the object. One that is gone already is no error.
    ///
    /// # Errors
    /// [`HubError::Stale`] when the object has another uid.
    pub async fn delete_object(&self, key: &ObjectKey, how: &Delete<'_>) -> Result<(), HubError> {
        let resource = self.locate_any(&key.group, &key.kind).await?;
        let request = requests(&resource.api, namespace(key)).delete(&key.name, &how.params());
        match self.send::<Value>(request, key).await {
            Ok(_) | Err(HubError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn address(&self, object: &Value) -> Result<(Resource, Address), HubError> {
        let mut address = Address::of(object)?;
        let resource = self.locate(&address.gvk).await?;
        if !resource.namespaced {
            address.namespace = None;
        } else if address.namespace.is_none() {
            address.namespace = Some(self.client.default_namespace().to_owned());
        }
        Ok((resource, address))
    }

    async fn send<T: DeserializeOwned>(
        &self,
        request: Result<http::Request<Vec<u8>>, kube::core::request::Error>,
        what: &ObjectKey,
    ) -> Result<T, HubError> {
        let request = built(request, what)?;
        self.client.request(request).await.map_err(|error| HubError::of(error, what))
    }
}

fn namespace(key: &ObjectKey) -> Option<&str> {
    (!key.namespace.is_empty()).then_some(key.namespace.as_str())
}

/// Fills in apiVersion and kind, which items of a list may lack.
fn typed(mut item: Value, api: &ApiResource) -> Value {
    if let Value::Object(map) = &mut item {
        map.entry("apiVersion").or_insert_with(|| api.api_version.clone().into());
        map.entry("kind").or_insert_with(|| api.kind.clone().into());
    }
    item
}
