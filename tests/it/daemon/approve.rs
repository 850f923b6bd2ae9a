//! Signed approvals.

use serde_json::Value;
use tidegate::{daemon::FirstPolicy, engine::SnapshotMode};

use super::stage::{GATED, Stage, fleet, is, reason, waits_for_approval};

/// A gated Rollout whose first commit lets alice approve.
async fn gated() -> Stage {
    let mut stage = Stage::bare(SnapshotMode::Both).await;
    stage.write_web(GATED);
    let alice = stage.repository.sign_as("alice");
    stage.repository.write("policy/allowed_signers", &alice);
    stage.repository.commit("first");
    stage.start();
    stage.until_rollout("web", "at the gate", waits_for_approval).await;
    stage
}

fn refused(status: &Value, reason: &str) -> bool {
    status["approvals"]
        .as_array()
        .into_iter()
        .flatten()
        .any(|record| record["state"] == "Refused" && record["reason"] == reason)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signed_approval_releases_the_stage_and_makes_no_run() {
    let stage = gated().await;
    let first = stage.repository.head();
    stage.repository.write("approvals/web/canary.yaml", &Stage::approval(&first, "canary", "web"));
    let approval = stage.repository.commit_signed("approve");
    let status = stage.until_done(&first).await;
    assert_eq!(status["approvals"][0]["state"], "Applied", "{status}");
    assert_eq!(status["approvals"][0]["by"], "alice");
    assert_eq!(status["source"]["commit"], approval.as_str());
    stage.until_values([Some("one"); 3]).await;
    assert_eq!(stage.count("ClusterStagedUpdateRun").await, 1);
    let name = format!("web-{}-before-canary", first.short());
    let request = stage.get(&fleet("ClusterApprovalRequest", &name)).await.unwrap();
    let approved = super::stage::condition(&request["status"], "Approved").unwrap();
    assert_eq!(approved["observedGeneration"], 1);
    let message = approved["message"].as_str().unwrap();
    assert!(message.contains("alice") && message.contains(approval.short()), "{message}");
    assert!(is(&request["status"], "ApprovalAccepted", "True"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trailer_of_a_signed_empty_commit_approves() {
    let stage = gated().await;
    let first = stage.repository.head();
    let trailer = format!("Tidegate-Approve: web {first} canary BeforeStage");
    // Beside a change it does not count, for it is easily overlooked there.
    stage.repository.write("NOTES.yaml", "# nothing\n");
    stage.repository.commit_signed(&format!("notes\n\n{trailer}"));
    let refused_beside = |status: &Value| refused(status, "ApprovalInvalid");
    stage.until_rollout("web", "refusing the trailer beside a change", refused_beside).await;
    stage.repository.commit_signed(&format!("canary may go\n\n{trailer}"));
    let status = stage.until_done(&first).await;
    let applied = status["approvals"].as_array().unwrap().last().unwrap();
    assert_eq!(applied["state"], "Applied", "{status}");
    assert_eq!(applied["path"], "trailer Tidegate-Approve");
    assert_eq!(applied["by"], "alice");
    stage.until_values([Some("one"); 3]).await;
}

/// As a forge merges a pull request: the branch's commits are signed, the merge is not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_merged_pull_request_approves() {
    let stage = gated().await;
    let first = stage.repository.head();
    stage.repository.git(&["switch", "--quiet", "-c", "approve"]);
    stage.repository.write("approvals/web/canary.yaml", &Stage::approval(&first, "canary", "web"));
    stage.repository.commit_signed("approve");
    stage.repository.git(&["switch", "--quiet", "main"]);
    stage.repository.write("README.md", "meanwhile\n");
    stage.repository.commit("meanwhile");
    stage.repository.git(&[
        "merge",
        "--quiet",
        "--no-ff",
        "--no-gpg-sign",
        "-m",
        "Merge",
        "approve",
    ]);
    let status = stage.until_done(&first).await;
    assert_eq!(status["approvals"][0]["state"], "Applied", "{status}");
    assert_eq!(status["approvals"][0]["by"], "alice");
    assert_eq!(status["approvals"].as_array().unwrap().len(), 1, "{status}");
    assert_eq!(stage.count("ClusterStagedUpdateRun").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rejection_keeps_the_gate_shut_and_what_is_past_or_of_another_plan_does_not_count() {
    let stage = gated().await;
    let first = stage.repository.head();
    let approval = Stage::approval(&first, "canary", "web");
    let with = |line: &str| format!("{approval}  {line}\n");
    for (path, text, why) in [
        ("past", with("expires: 2020-01-01T00:00:00Z"), "ApprovalExpired"),
        ("plan", with(&format!("plan: sha256:{}", "0".repeat(64))), "ApprovalOtherPlan"),
    ] {
        stage.repository.write(&format!("approvals/web/{path}.yaml"), &text);
        stage.repository.commit_signed(path);
        stage.until_rollout("web", why, |status| refused(status, why)).await;
    }
    let rejection = approval.replace("decision: Approve", "decision: Reject");
    stage.repository.write("approvals/web/no.yaml", &rejection);
    stage.repository.commit_signed("reject");
    stage
        .until_rollout("web", "rejected", |status| {
            status["approvals"].as_array().into_iter().flatten().any(|r| r["state"] == "Rejected")
        })
        .await;
    stage.repository.write("approvals/web/yes.yaml", &approval);
    stage.repository.commit_signed("approve");
    stage
        .until_rollout("web", "held by the rejection", |status| {
            let last = status["approvals"].as_array().and_then(|records| records.last());
            last.is_some_and(|record| {
                let message = record["message"].as_str().unwrap_or_default();
                record["state"] == "Pending" && message.contains("alice rejected this gate")
            })
        })
        .await;
    let name = format!("web-{}-before-canary", first.short());
    let request = stage.get(&fleet("ClusterApprovalRequest", &name)).await.unwrap();
    assert!(!is(&request["status"], "Approved", "True"), "{request}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_count_is_refused_with_its_reason() {
    let stage = gated().await;
    let first = stage.repository.head();
    let write = |rollout: &str, stage_name: &str, commit| {
        stage.repository.write(
            &format!("approvals/{rollout}-{stage_name}.yaml"),
            &Stage::approval(commit, stage_name, rollout),
        );
    };
    write("web", "canary", &first);
    let unsigned = stage.repository.commit("unsigned");
    stage.until_rollout("web", "refusing the unsigned", |s| refused(s, "ApprovalUnsigned")).await;
    stage.repository.sign_as("mallory");
    stage.repository.replace("approvals/web-canary.yaml", "name: canary", "name: canary2");
    stage.repository.commit_signed("unknown key");
    stage.until_rollout("web", "refusing the stranger", |s| refused(s, "ApprovalKeyUnknown")).await;
    // A policy that a stranger signed does not count, and neither does the approval after it.
    let mallory = stage.repository.sign_as("mallory");
    stage.repository.write("policy/allowed_signers", &mallory);
    stage.repository.replace("approvals/web-canary.yaml", "name: canary2", "name: canary3");
    stage.repository.commit_signed("my own policy");
    let status =
        stage.until_rollout("web", "refusing the policy", |s| refused(s, "PolicyRefused")).await;
    assert!(!is(&status, "ApprovalsAccepted", "True"));
    stage.repository.sign_as("alice");
    write("web", "canary", &unsigned);
    stage.repository.commit_signed("another run");
    stage
        .until_rollout("web", "refusing another commit", |s| refused(s, "ApprovalOtherCommit"))
        .await;
    write("web", "production", &first);
    stage.repository.commit_signed("another stage");
    stage
        .until_rollout("web", "refusing another stage", |s| refused(s, "ApprovalUnknownStage"))
        .await;
    let status = stage.until_rollout("web", "at the gate", waits_for_approval).await;
    assert_eq!(status["clusters"], "1/3", "nothing of all that opened the gate");
    assert_eq!(stage.count("ClusterStagedUpdateRun").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_may_come_before_its_request_and_survives_a_restart() {
    let mut stage = Stage::bare(SnapshotMode::Both).await;
    let alice = stage.repository.sign_as("alice");
    stage.first_policy =
        FirstPolicy::Given(tidegate::trust::AllowedSigners::parse(&alice, "signers").unwrap());
    stage.write_web(GATED);
    let first = stage.repository.commit("first");
    stage.start();
    stage.until_rollout("web", "seen", |status| status["source"]["commit"] == first.as_str()).await;
    stage.stop().await;
    stage.repository.write("approvals/a.yaml", &Stage::approval(&first, "canary", "web"));
    stage.repository.commit_signed("approve");
    stage.start();
    let status = stage.until_done(&first).await;
    assert_eq!(status["approvals"][0]["state"], "Applied");
    assert_eq!(reason(&status, "Ready"), "Succeeded");
}

/// A first policy that names nobody locks everybody out: it is told how to get out, and the way works.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_first_policy_says_how_to_get_out() {
    let mut stage = Stage::bare(SnapshotMode::Both).await;
    stage.write_web(GATED);
    let alice = stage.repository.sign_as("alice");
    stage.repository.write("policy/allowed_signers", "# nobody yet\n");
    let first = stage.repository.commit("first");
    stage.start();
    stage.until_rollout("web", "at the gate", waits_for_approval).await;
    stage.repository.write("policy/allowed_signers", &alice);
    stage.repository.commit_signed("alice may approve");
    let status = stage
        .until_rollout("web", "refusing the policy", |status| refused(status, "PolicyRefused"))
        .await;
    let accepted = super::stage::condition(&status, "ApprovalsAccepted").unwrap();
    let told = accepted["message"].as_str().unwrap();
    assert!(told.contains("names nobody") && told.contains("--allowed-signers"), "{told}");
    // With a policy of its own, the daemon has somebody to believe.
    stage.stop().await;
    let signers = tidegate::trust::AllowedSigners::parse(&alice, "given").unwrap();
    stage.first_policy = FirstPolicy::Given(signers);
    stage.start();
    stage.repository.write("approvals/web/canary.yaml", &Stage::approval(&first, "canary", "web"));
    stage.repository.commit_signed("approve");
    let status = stage.until_done(&first).await;
    assert!(is(&status, "ApprovalsAccepted", "True"), "{status}");
}
