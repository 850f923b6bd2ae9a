//! How much of its quotas a namespace uses: counted when quotas change, and when objects go or use less.

use std::sync::Arc;

use serde_json::Value;

use super::{
    super::{
        builtin::quota,
        server::Server,
        store::{Change, Event, Range, Stored},
    },
    edit::edit,
};

/// Whether an event may change what is used of a quota, or the quota. What uses more is charged when it is written.
pub(super) fn matters(event: &Event) -> bool {
    let resource = &event.object.key.resource;
    let may_use_less = matches!(&*resource.plural, "pods" | "services" | "persistentvolumeclaims");
    resource.group.is_empty()
        && (&*resource.plural == "resourcequotas"
            || (may_use_less && event.change == Change::Modified))
}

/// The namespace whose quotas an event may concern.
pub(super) fn namespace_of(server: &Server, event: &Event) -> Option<String> {
    let key = &event.object.key;
    let is_quota = key.resource.group.is_empty() && &*key.resource.plural == "resourcequotas";
    let concerns = match is_quota {
        true => event.current().is_some_and(|quota| is_uncounted(quota)),
        false => event.change == Change::Deleted || matters(event),
    };
    let has_quotas = || !quotas(server, &key.namespace).is_empty();
    (concerns && !key.namespace.is_empty() && has_quotas()).then(|| key.namespace.to_string())
}

/// Whether a quota allows something else than was allowed when it was last counted.
fn is_uncounted(quota: &Stored) -> bool {
    let quota = quota.value();
    quota.pointer("/status/hard") != Some(&quota::hard_of(&quota))
}

fn quotas(server: &Server, namespace: &str) -> Vec<Arc<Stored>> {
    let served = server.registry.served();
    let Some(resource) = served.find("", "v1", "resourcequotas") else { return Vec::new() };
    let range = Range { namespace: Some(namespace.to_owned()), ..Range::default() };
    server.store.list(&resource.id, &range).map(|page| page.objects).unwrap_or_default()
}

/// Counts what is used of every quota of a namespace.
pub(super) async fn recount(server: &Server, namespace: &str) {
    let served = server.registry.served();
    let Some(resource) = served.find("", "v1", "resourcequotas") else { return };
    for stored in quotas(server, namespace) {
        edit(server, resource, &stored.key, |object| {
            let status = count(server, namespace, object);
            let changed = object.get("status") != Some(&status);
            object["status"] = status;
            changed
        })
        .await;
    }
}

/// The status of a quota, counted anew.
pub(in crate::apiserver) fn count(server: &Server, namespace: &str, quota: &Value) -> Value {
    let served = server.registry.served();
    let range = Range { namespace: Some(namespace.to_owned()), ..Range::default() };
    // Each kind once, however many versions of it are served.
    let kinds = served.definitions.iter().filter(|definition| {
        let (group, version) = (&definition.group, &definition.version);
        quota::is_counted(definition)
            && served.find(group, version, &definition.plural).is_some_and(|resource| {
                served.any_version(&resource.id).is_some_and(|one| {
                    one.definition.version == *version && one.definition.group == *group
                })
            })
    });
    quota::recount(quota, kinds, |definition| {
        let resource = served.find(&definition.group, &definition.version, &definition.plural);
        let page = resource.and_then(|resource| server.store.list(&resource.id, &range).ok());
        page.map(|page| page.objects.iter().map(|o| o.value()).collect()).unwrap_or_default()
    })
}
