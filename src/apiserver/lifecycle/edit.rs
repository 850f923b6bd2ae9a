//! Changing stored objects from within.

use serde_json::Value;

use super::super::{
    field, object,
    registry::Resource,
    server::Server,
    store::{CommitError, Key, Write},
};

/// Who owns what is changed from within.
const MANAGER: &str = "kube-controller-manager";

/// Changes an object as it is stored, until nobody comes in between. `change` answers whether it changed anything. An
/// object that was only held by what `change` removed goes.
pub(super) async fn edit(
    server: &Server,
    resource: &Resource,
    key: &Key,
    change: impl Fn(&mut Value) -> bool,
) {
    loop {
        let Some(stored) = server.store.get(key) else { return };
        let before = stored.value();
        let mut object = before.clone();
        if !change(&mut object) {
            return;
        }
        if object::metadata(&before, "managedFields").is_some() {
            let schema = resource.definition.schema();
            let part = (before.get("status") != object.get("status")).then_some("status");
            field::track_update(Some(&before), &mut object, MANAGER, part, schema, server.now());
        }
        let delete = super::is_done(resource, &object);
        let write = Write {
            key: key.clone(),
            from: Some(stored.revision),
            object,
            delete,
            relies_on: None,
        };
        match server.store.commit(write).await {
            Ok(_) => return,
            Err(CommitError::Stale) => {}
            Err(error) => {
                tracing::warn!(%key, %error, "an object has to wait for its end");
                return;
            }
        }
    }
}

/// Removes a finalizer.
pub(super) async fn remove_finalizer(
    server: &Server,
    resource: &Resource,
    key: &Key,
    finalizer: &str,
) {
    edit(server, resource, key, |object| {
        let had = object::finalizers(object);
        let kept: Vec<String> =
            had.iter().filter(|f| **f != finalizer).map(|f| (*f).to_owned()).collect();
        if kept.len() == had.len() {
            return false;
        }
        let kept: Vec<&str> = kept.iter().map(String::as_str).collect();
        object::set_finalizers(object, &kept);
        true
    })
    .await;
}
