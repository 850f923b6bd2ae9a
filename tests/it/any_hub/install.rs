//! `tidegate install`, and the file that is made by it.

use std::{fs, path::Path};

use serde_json::Value;

use super::world::{World, documents};
use crate::support::process::tidegate;

fn printed(arguments: &[&str]) -> String {
    let home = tempfile::tempdir().unwrap();
    let output = tidegate(home.path()).arg("install").args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn names(manifests: &[Value], kind: &str) -> Vec<String> {
    let of_kind = manifests.iter().filter(|object| object["kind"] == kind);
    of_kind.map(|object| object["metadata"]["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_file_in_deploy_is_fresh() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/install.yaml");
    let text = printed(&[]);
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let advice = "run `UPDATE=1 cargo test --test it the_file_in_deploy_is_fresh`";
    assert_eq!(fs::read_to_string(&path).unwrap_or_default(), text, "{advice}");
}

#[test]
fn rights_follow_from_what_the_program_is_told_to_do() {
    let repository = "https://git.example.com/fleet.git";
    for (arguments, roles, definitions) in [
        (&[][..], &["tidegate-engine"][..], 21),
        (
            &["--repository", repository],
            &["tidegate-engine", "tidegate-gitops", "tidegate-content"],
            21,
        ),
        // Fleet's own definitions are Fleet's.
        (
            &["--engine", "fleet", "--repository", repository],
            &["tidegate-gitops", "tidegate-content"],
            2,
        ),
    ] {
        let manifests = documents(&printed(arguments));
        assert_eq!(names(&manifests, "ClusterRole"), roles, "{arguments:?}");
        assert_eq!(
            names(&manifests, "CustomResourceDefinition").len(),
            definitions,
            "{arguments:?}"
        );
        let deployment = manifests.iter().find(|object| object["kind"] == "Deployment").unwrap();
        let container = &deployment["spec"]["template"]["spec"]["containers"][0];
        let given: Vec<&str> =
            container["args"].as_array().unwrap().iter().map(|arg| arg.as_str().unwrap()).collect();
        let engine =
            if arguments.contains(&"fleet") { "--engine=fleet" } else { "--engine=builtin" };
        assert_eq!(given[..2], ["run", engine]);
        assert_eq!(given.len() > 2, arguments.contains(&repository), "{given:?}");
    }
}

#[tokio::test]
async fn what_is_printed_can_be_applied_again_and_again() {
    let world = World::embedded(0).await;
    world.install(&[]).await;
    let versions = async || {
        let mut versions = Vec::new();
        // Namespaces apart: the embedded server counts up their version on every apply.
        let manifests = world.manifests(&[]).into_iter();
        for object in manifests.filter(|object| object["kind"] != "Namespace") {
            let kind = object["kind"].as_str().unwrap();
            let group = object["apiVersion"]
                .as_str()
                .unwrap()
                .rsplit_once('/')
                .map_or("", |(group, _)| group);
            let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
            let name = object["metadata"]["name"].as_str().unwrap();
            let key = super::world::key(group, kind, namespace, name);
            let stored = world.hub().get_object(&key).await.unwrap().unwrap();
            versions.push(stored["metadata"]["resourceVersion"].clone());
        }
        versions
    };
    let before = versions().await;
    world.install(&[]).await;
    assert_eq!(versions().await, before);
}
