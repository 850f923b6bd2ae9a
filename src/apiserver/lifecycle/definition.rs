//! The end of a CustomResourceDefinition: first its objects, then itself.

use serde_json::{Value, json};

use super::{
    super::{
        object,
        registry::Resource,
        server::Server,
        store::{Key, Range, ResourceId, Stored},
        verb::delete_all,
    },
    edit::remove_finalizer,
};

/// Group of definitions.
pub(super) const GROUP: &str = "apiextensions.k8s.io";
/// Kind of definitions.
pub(super) const KIND: &str = "CustomResourceDefinition";
/// Holds a definition until its objects are gone.
const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";

/// Gives a definition that is to go the finalizer that lets its objects go first, and says so.
pub(super) fn protect(definition: &mut Value, now: &str) {
    let condition = json!({
        "type": "Terminating",
        "status": "True",
        "lastTransitionTime": now,
        "reason": "InstanceDeletionPending",
        "message": "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
    });
    match definition.pointer_mut("/status/conditions").and_then(Value::as_array_mut) {
        Some(conditions) => {
            conditions.retain(|condition| condition["type"] != "Terminating");
            conditions.push(condition);
        }
        None => definition["status"]["conditions"] = json!([condition]),
    }
    let mut finalizers: Vec<String> =
        object::finalizers(definition).into_iter().map(str::to_owned).collect();
    if !finalizers.iter().any(|f| f == CLEANUP) {
        finalizers.push(CLEANUP.to_owned());
    }
    let finalizers: Vec<&str> = finalizers.iter().map(String::as_str).collect();
    object::set_finalizers(definition, &finalizers);
}

/// Deletes the objects of a definition that is going away, and lets it go when there are none.
pub(super) async fn empty(server: &Server, definitions: &Resource, definition: &Stored) {
    let value = definition.value();
    let text =
        |path: &str| value.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
    let id = ResourceId { group: text("/spec/group"), plural: text("/spec/names/plural") };
    let objects =
        || server.store.list(&id, &Range::default()).map(|page| page.objects).unwrap_or_default();
    let served = server.registry.served();
    if let Some(resource) = served.any_version(&id) {
        delete_all(server, resource, objects().iter().filter(|object| !object.deleting)).await;
    }
    if objects().is_empty() {
        remove_finalizer(server, definitions, &definition.key, CLEANUP).await;
    }
}

/// Looks at the definition of `id` after one of its objects has gone.
pub(super) async fn look_at_resource(server: &Server, id: &ResourceId) {
    let served = server.registry.served();
    let is_ending = served.any_version(id).is_some_and(|resource| resource.is_terminating);
    let Some(definitions) =
        served.find(GROUP, "v1", "customresourcedefinitions").filter(|_| is_ending)
    else {
        return;
    };
    let key = Key::new(&definitions.id, "", &id.to_string());
    if let Some(definition) = server.store.get(&key).filter(|d| d.deleting) {
        empty(server, definitions, &definition).await;
    }
}
