//! `tidegate install`.

use anyhow::Context as _;
use serde_json::{Value, json};

use super::{
    args::{InstallArgs, InstallEngine},
    exit::Exit,
    install_rights::{ACCOUNT, CONTENT_ROLE, ENGINE_ROLE, GITOPS_ROLE, lease},
    output,
};
use crate::{
    api::{crd, kind::GITOPS_GROUP, meta},
    render::yaml::yaml,
};

pub(super) fn run(args: &InstallArgs) -> anyhow::Result<Exit> {
    let text = yaml(&objects(args)).context("cannot write YAML")?;
    output::write(format!("# Made by `tidegate install`.\n---\n{text}").as_bytes())
}

/// Returns everything, in the order in which it can be applied.
fn objects(args: &InstallArgs) -> Vec<Value> {
    let builtin = args.engine == InstallEngine::Builtin;
    let mut objects = vec![json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": meta::SYSTEM_NAMESPACE},
    })];
    // Fleet brings its own definitions, and changes them as it likes.
    let ours = |definition: &Value| builtin || definition["spec"]["group"] == GITOPS_GROUP;
    objects.extend(crd::all().into_iter().filter(ours));
    objects.push(json!({
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": ACCOUNT, "namespace": meta::SYSTEM_NAMESPACE},
    }));
    if builtin {
        objects.extend(ENGINE_ROLE.manifests());
        objects.extend(lease());
    }
    if args.repository.is_some() {
        objects.extend(GITOPS_ROLE.manifests());
        objects.extend(CONTENT_ROLE.manifests());
    }
    objects.push(deployment(args));
    objects
}

fn arguments(args: &InstallArgs) -> Vec<String> {
    let engine = match args.engine {
        InstallEngine::Builtin => "builtin",
        InstallEngine::Fleet => "fleet",
    };
    let mut arguments = vec!["run".to_owned(), format!("--engine={engine}")];
    if let Some(url) = &args.repository {
        arguments.push(format!("--repository={url}"));
        arguments.push(format!("--ref={}", args.reference));
        arguments.push(format!("--path={}", args.path));
    }
    arguments
}

/// One pod: a second one would only stand by for the engine, and follow the repositories as well.
fn deployment(args: &InstallArgs) -> Value {
    let labels = json!({"app.kubernetes.io/name": "tidegate"});
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "tidegate", "namespace": meta::SYSTEM_NAMESPACE, "labels": labels},
        "spec": {
            "replicas": 1,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "serviceAccountName": ACCOUNT,
                    "securityContext": {
                        "runAsNonRoot": true,
                        "runAsUser": 65532,
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                    "containers": [{
                        "name": "tidegate",
                        "image": args.image,
                        "args": arguments(args),
                        // Copies of repositories: a cache, and the only thing written.
                        "env": [{"name": "XDG_CACHE_HOME", "value": "/cache"}],
                        "volumeMounts": [{"name": "cache", "mountPath": "/cache"}],
                        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}},
                        "securityContext": {
                            "allowPrivilegeEscalation": false,
                            "readOnlyRootFilesystem": true,
                            "capabilities": {"drop": ["ALL"]},
                        },
                    }],
                    "volumes": [{"name": "cache", "emptyDir": {}}],
                },
            },
        },
    })
}
