//! What every cluster has from the start: its first namespaces, the service of its API, the range of addresses of
//! services, and the roles that users and their tools count on.

use futures::future::try_join_all;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    super::{
        builtin::admission,
        object,
        options::OpenError,
        server::Server,
        store::{CommitError, Key, Write},
    },
    namespace,
};

/// Roles and bindings, a document each.
const ROLES: &str = include_str!("first_roles.yaml");
const ROLES_VERSION: &str = "rbac.authorization.k8s.io/v1";

/// Makes what is not there: what was deleted comes back when the server starts again.
pub(super) async fn make(server: &Server) -> Result<(), OpenError> {
    let namespaces = namespace::FIRST.into_iter().map(namespace::first);
    let all: Vec<Value> = namespaces.chain([service(), range(server)]).chain(roles()?).collect();
    try_join_all(all.into_iter().map(|object| make_one(server, object))).await?;
    Ok(())
}

/// The service of the API: the first address, which is given to no other. Where the server listens is not known here, so
/// that nothing stands behind it.
fn service() -> Value {
    let address = admission::api_address();
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "kubernetes",
            "namespace": "default",
            "labels": {"component": "apiserver", "provider": "kubernetes"},
        },
        "spec": {
            "clusterIP": address,
            "clusterIPs": [address],
            "internalTrafficPolicy": "Cluster",
            "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack",
            "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": 6443}],
            "sessionAffinity": "None",
            "type": "ClusterIP",
        },
        "status": {"loadBalancer": {}},
    })
}

/// The range that addresses of services are taken from.
fn range(server: &Server) -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "ServiceCIDR",
        "metadata": {"name": "kubernetes"},
        "spec": {"cidrs": [admission::service_range()]},
        "status": {"conditions": [{
            "type": "Ready", "status": "True", "reason": "", "message": "Addresses are taken from it",
            "lastTransitionTime": object::time(server.now()),
        }]},
    })
}

fn roles() -> Result<Vec<Value>, OpenError> {
    let documents = ROLES.split("\n---\n").skip(1);
    documents
        .map(|text| {
            let mut role: Value =
                serde_yaml::from_str(text).map_err(|error| OpenError::First(error.to_string()))?;
            role["apiVersion"] = ROLES_VERSION.into();
            let metadata = object::metadata_mut(&mut role);
            let labels = metadata.entry("labels").or_insert_with(|| json!({}));
            labels["kubernetes.io/bootstrapping"] = "rbac-defaults".into();
            metadata.insert(
                "annotations".to_owned(),
                json!({"rbac.authorization.kubernetes.io/autoupdate": "true"}),
            );
            if role["kind"] == "ClusterRole" && role.get("rules").is_none() {
                role["rules"] = Value::Null;
            }
            Ok(role)
        })
        .collect()
}

async fn make_one(server: &Server, mut object: Value) -> Result<(), OpenError> {
    let served = server.registry.served();
    let text = |field: &str| object.get(field).and_then(Value::as_str).unwrap_or_default();
    let Some(resource) = served.of_kind(text("apiVersion"), text("kind")) else { return Ok(()) };
    let key = Key::new(&resource.id, object::namespace(&object), object::name(&object));
    if server.store.get(&key).is_some() {
        return Ok(());
    }
    object::set(&mut object, "uid", Uuid::new_v4().to_string().into());
    object::set(&mut object, "creationTimestamp", object::time(server.now()).into());
    let write = Write { key, from: None, object, delete: false, relies_on: None };
    match server.store.commit(write).await {
        Ok(_) | Err(CommitError::Stale) => Ok(()),
        Err(error) => Err(OpenError::First(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apiserver::builtin::catalog;

    #[test]
    fn roles_are_such_as_anybody_could_write() {
        let roles = roles().unwrap();
        let catalog = catalog();
        let names: Vec<&str> = roles.iter().map(object::name).collect();
        assert_eq!(names[..4], ["cluster-admin", "admin", "edit", "view"]);
        for role in &roles {
            let definition = catalog.iter().find(|of| role["kind"] == of.kind.as_str()).unwrap();
            assert_eq!(admission::check_types(definition, role), Ok(()), "{role}");
            let mut pruned = role.clone();
            assert_eq!(definition.schema().prune(&mut pruned), Vec::<String>::new(), "{role}");
        }
        let bindings = roles.iter().filter(|role| role["kind"] == "ClusterRoleBinding");
        for binding in bindings {
            let role = binding["roleRef"]["name"].as_str().unwrap();
            assert!(names.contains(&role), "{role}");
        }
    }
}
