//! People who may push, and try to do what they may not.

use serde_json::Value;
use tidegate::{daemon::FirstPolicy, engine::SnapshotMode, model::CommitId, trust::AllowedSigners};

use super::stage::{GATED, Stage, fleet, is, key, waits_for_approval};

/// A gated Rollout whose first commit lets these people approve; the last of them signs.
async fn gated_for(people: &[&str]) -> Stage {
    let mut stage = Stage::bare(SnapshotMode::Both).await;
    stage.write_web(GATED);
    let lines: String = people.iter().map(|name| stage.repository.sign_as(name)).collect();
    stage.repository.write("policy/allowed_signers", &lines);
    stage.repository.commit("first");
    stage.start();
    stage.until_rollout("web", "at the gate", waits_for_approval).await;
    stage
}

async fn until_read(stage: &Stage, name: &str, commit: &CommitId) -> Value {
    stage
        .until_rollout(name, &format!("past {commit}"), |status| {
            status["source"]["commit"] == commit.as_str()
        })
        .await
}

async fn assert_shut(stage: &Stage, commit: &CommitId) {
    let name = format!("web-{}-before-canary", commit.short());
    let request = stage.get(&fleet("ClusterApprovalRequest", &name)).await.unwrap();
    assert!(!is(&request["status"], "Approved", "True"), "{request}");
}

/// Whoever moves a file, or tidies up beside it, signs a commit that holds an approval, and approves nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_moves_somebody_elses_approval_does_not_approve() {
    let stage = gated_for(&["alice"]).await;
    let first = stage.repository.head();
    stage.repository.write("approvals/web.yaml", &Stage::approval(&first, "canary", "web"));
    stage.repository.commit("by nobody");
    stage.repository.git(&["mv", "approvals/web.yaml", "approvals/canary.yaml"]);
    stage.repository.commit_signed("a better name");
    let rejection = Stage::approval(&first, "staging", "web");
    let both = format!("# tidied up\n{}---\n{rejection}", Stage::approval(&first, "canary", "web"));
    stage.repository.write("approvals/canary.yaml", &both);
    let last = stage.repository.commit_signed("another one beside it");
    let status = until_read(&stage, "web", &last).await;
    let told: Vec<_> = status["approvals"]
        .as_array()
        .unwrap()
        .iter()
        .map(|record| (record["stage"].as_str().unwrap(), record["by"].as_str()))
        .collect();
    assert_eq!(told, [("canary", None), ("staging", Some("alice"))], "{status}");
    assert_shut(&stage, &first).await;
    // What alice says herself counts.
    stage.repository.write("approvals/mine.yaml", &Stage::approval(&first, "canary", "web"));
    stage.repository.commit_signed("approve");
    stage.until_done(&first).await;
}

/// The signature of a commit may be written down in other words, which makes another commit of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_of_a_signed_commit_is_no_second_approval() {
    let stage = gated_for(&["alice"]).await;
    let first = stage.repository.head();
    stage.repository.write("approvals/web.yaml", &Stage::approval(&first, "canary", "web"));
    let approval = stage.repository.commit_signed("approve");
    stage.until_done(&first).await;
    let raw = stage.repository.git(&["cat-file", "commit", approval.as_str()]);
    let (before, after) = raw.split_once("-----BEGIN SSH SIGNATURE-----\n").unwrap();
    let (first_line, rest) = after.split_once('\n').unwrap();
    let (half, other) = first_line.split_at(30);
    let copy =
        format!("{before}-----BEGIN SSH SIGNATURE-----\n{half}\n {}\n{rest}\n", other.trim());
    stage.repository.write("../copy", &copy);
    let copy = stage.repository.git(&["hash-object", "-t", "commit", "-w", "../copy"]);
    assert_ne!(copy, approval.as_str());
    stage.repository.git(&["merge", "--quiet", "--no-gpg-sign", "-m", "merge", &copy]);
    let merge = stage.repository.head();
    let status = until_read(&stage, "web", &merge).await;
    assert_eq!(status["approvals"].as_array().unwrap().len(), 1, "{status}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_that_cannot_be_read_is_told_to_whom_it_names() {
    let stage = gated_for(&["alice"]).await;
    let first = stage.repository.head();
    let twice = Stage::approval(&first, "canary", "web").replace("spec:\n", "spec:\n  stage: x\n");
    stage.repository.write("approvals/twice.yaml", &twice);
    let bombs: String = (1..9)
        .map(|at| format!("a{at}: &a{at} [{}]\n", vec![format!("*a{}", at - 1); 9].join(",")))
        .collect();
    let bomb = format!("{}a0: &a0 [x]\n{bombs}", Stage::approval(&first, "canary", "web"));
    stage.repository.write("approvals/bomb.yaml", &bomb);
    let long = format!("approvals/{}/{}.yaml", "a".repeat(200), "b".repeat(200));
    stage.repository.write(&long, &Stage::approval(&first, &"c".repeat(100_000), "web"));
    stage.repository.commit_signed("approve");
    let status = stage
        .until_rollout("web", "told", |status| {
            status["approvals"].as_array().is_some_and(|records| {
                records.len() == 3 && records.iter().all(|record| record["state"] == "Refused")
            })
        })
        .await;
    let told = |path: &str| {
        let mut records = status["approvals"].as_array().unwrap().iter();
        let record = records.find(|record| record["path"].as_str().unwrap().contains(path));
        record.unwrap()["message"].as_str().unwrap().to_owned()
    };
    assert!(told("twice").contains("approvals/twice.yaml:"), "{}", told("twice"));
    assert!(told("bomb").contains("approvals/bomb.yaml:16"), "{}", told("bomb"));
    assert!(status.to_string().len() < 20_000, "{} bytes", status.to_string().len());
    assert_shut(&stage, &first).await;
}

/// Whom the policy names no longer may not approve for Rollouts that come later either, whatever the daemon was started with.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_rollout_goes_by_the_policy_that_is_in_force() {
    let mut stage = Stage::bare(SnapshotMode::Both).await;
    stage.write_web(GATED);
    let given = stage.repository.sign_as("alice") + &stage.repository.sign_as("bob");
    stage.first_policy = FirstPolicy::Given(AllowedSigners::parse(&given, "given").unwrap());
    stage.repository.commit("first");
    stage.start();
    stage.until_rollout("web", "at the gate", waits_for_approval).await;
    let bob = stage.repository.sign_as("bob");
    stage.repository.write("policy/allowed_signers", &bob);
    let without = stage.repository.commit_signed("alice has left");
    until_read(&stage, "web", &without).await;

    // A second Rollout, by which alice would come back.
    let rename = |text: &str| {
        text.replace("name: web", "name: api").replace("placementName: web", "placementName: api")
    };
    stage.repository.write("apps/api/rollout.yaml", &rename(super::stage::ROLLOUT));
    stage.repository.write("apps/api/placement.yaml", &rename(super::stage::PLACEMENT_FILE));
    stage.repository.write("apps/api/manifests/namespace.yaml", &rename(super::stage::NAMESPACE));
    let api = stage.repository.commit("another Rollout");
    stage.until_rollout("api", "at the gate", waits_for_approval).await;
    stage.repository.sign_as("alice");
    stage.repository.write("approvals/api.yaml", &Stage::approval(&api, "canary", "api"));
    let approval = stage.repository.commit_signed("approve");
    let status = until_read(&stage, "api", &approval).await;
    assert_eq!(status["approvals"][0]["reason"], "ApprovalKeyUnknown", "{status}");
    assert_eq!(status["source"]["policyCommit"], without.as_str());

    // Nor by its being made anew on the hub.
    let rollout = key("gitops.tidegate.dev", "Rollout", "default", "api");
    let before = stage.get(&rollout).await.unwrap();
    stage.hub.delete_object(&rollout, &tidegate::hub::Delete::default()).await.unwrap();
    stage
        .until(&rollout, "back", |held| {
            held["metadata"]["uid"] != before["metadata"]["uid"]
                && held["status"]["source"]["policyCommit"] == without.as_str()
        })
        .await;
}
