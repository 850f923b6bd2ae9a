//! Who may do what by the roles that every cluster has.

use k8s_openapi::api::{
    authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec},
    rbac::v1::RoleBinding,
};
use kube::{Api, Client, api::PostParams};
use serde_json::json;
use tidegate::apiserver::{ApiServer, Options};

#[tokio::test]
async fn roles_that_are_made_of_others_grant_what_those_do() {
    let server = ApiServer::open(Options::default()).await.unwrap();
    let client = Client::new(server, "default");
    let bindings: Api<RoleBinding> = Api::namespaced(client.clone(), "default");
    for role in ["view", "edit", "admin"] {
        let binding = serde_json::from_value(json!({
            "metadata": {"name": role},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": role}],
        }));
        bindings.create(&PostParams::default(), &binding.unwrap()).await.unwrap();
    }
    let reviews: Api<SubjectAccessReview> = Api::all(client);
    for (user, verb, group, resource, namespace, allowed) in [
        ("view", "list", "", "configmaps", "default", true),
        ("view", "create", "", "configmaps", "default", false),
        ("view", "list", "", "configmaps", "kube-system", false),
        ("edit", "list", "", "configmaps", "default", true),
        ("edit", "create", "", "configmaps", "default", true),
        ("edit", "create", "rbac.authorization.k8s.io", "roles", "default", false),
        ("admin", "create", "rbac.authorization.k8s.io", "roles", "default", true),
        ("admin", "delete", "apps", "deployments", "default", true),
        ("nobody", "list", "", "configmaps", "default", false),
    ] {
        let attributes = ResourceAttributes {
            verb: Some(verb.into()),
            group: Some(group.into()),
            resource: Some(resource.into()),
            namespace: Some(namespace.into()),
            ..ResourceAttributes::default()
        };
        let spec = SubjectAccessReviewSpec {
            user: Some(user.into()),
            resource_attributes: Some(attributes),
            ..SubjectAccessReviewSpec::default()
        };
        let review = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
        let answer = reviews.create(&PostParams::default(), &review).await.unwrap();
        assert_eq!(answer.status.unwrap().allowed, allowed, "{user} {verb} {resource}");
    }
}
