//! Columns of Pods, which say in one word what many fields say together.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    super::value::{absent, flag, list, number, text},
    Column,
    age::age_of,
    shared::{age, text as column, wide},
};

/// The columns of Pods.
pub(super) fn columns() -> Vec<Column> {
    vec![
        column("Ready", "Containers that are ready, of all.", |pod, _| {
            let Summary { ready, total, .. } = summary(pod);
            format!("{ready}/{total}").into()
        }),
        column("Status", "What the pod is doing.", |pod, _| summary(pod).word.into()),
        column("Restarts", "How often containers were started again.", |pod, now| {
            let Summary { restarts, last_restart, .. } = summary(pod);
            match last_restart {
                Some(last) if restarts != 0 => {
                    let since = age_of(Some(&last.to_string().into()), now);
                    format!("{restarts} ({since} ago)").into()
                }
                _ => restarts.to_string().into(),
            }
        }),
        age(),
        wide("IP", "Address of the pod.", |pod, _| or_none(text(pod, "/status/podIPs/0/ip"))),
        wide("Node", "The node that the pod runs on.", |pod, _| {
            or_none(text(pod, "/spec/nodeName"))
        }),
        wide("Nominated Node", "The node on which room is made for the pod.", |pod, _| {
            or_none(text(pod, "/status/nominatedNodeName"))
        }),
        wide("Readiness Gates", "Conditions that hold, of those that must.", gates),
    ]
}

/// What a row says of a pod that ended; nothing of other objects.
pub(super) fn row_conditions(pod: &Value) -> Option<Value> {
    if text(pod, "/kind") != "Pod" || text(pod, "/apiVersion") != "v1" {
        return None;
    }
    let (reason, message) = match text(pod, "/status/phase") {
        "Succeeded" => ("Succeeded", "The pod has completed successfully."),
        "Failed" => ("Failed", "The pod failed."),
        _ => return None,
    };
    Some(json!([{"type": "Completed", "status": "True", "reason": reason, "message": message}]))
}

fn or_none(text: &str) -> Value {
    if text.is_empty() { "<none>" } else { text }.into()
}

fn gates(pod: &Value, _: Timestamp) -> Value {
    let gates = list(pod, "/spec/readinessGates");
    if gates.is_empty() {
        return "<none>".into();
    }
    let holds = |gate: &&Value| {
        let kind = text(gate, "/conditionType");
        condition(pod, kind).is_some_and(|found| text(found, "/status") == "True")
    };
    format!("{}/{}", gates.iter().filter(holds).count(), gates.len()).into()
}

fn condition<'p>(pod: &'p Value, kind: &str) -> Option<&'p Value> {
    list(pod, "/status/conditions").iter().find(|c| text(c, "/type") == kind)
}

/// What the containers of a pod add up to.
#[derive(Debug, Default)]
struct Summary {
    word: String,
    ready: usize,
    total: usize,
    restarts: i64,
    last_restart: Option<Timestamp>,
}

/// Restarts of some containers, and the last of them.
#[derive(Debug, Clone, Copy, Default)]
struct Restarts(i64, Option<Timestamp>);

impl Restarts {
    fn add(&mut self, container: &Value) {
        self.0 += number(container, "/restartCount").unwrap_or(0);
        let ended = text(container, "/lastState/terminated/finishedAt").parse().ok();
        self.1 = self.1.max(ended);
    }
}

fn summary(pod: &Value) -> Summary {
    let phase = text(pod, "/status/phase");
    let mut word = match text(pod, "/status/reason") {
        "" => phase.to_owned(),
        reason => reason.to_owned(),
    };
    if condition(pod, "PodScheduled").is_some_and(|c| text(c, "/reason") == "SchedulingGated") {
        "SchedulingGated".clone_into(&mut word);
    }
    let sidecars = list(pod, "/spec/initContainers").iter().filter(|c| is_sidecar(c)).count();
    let mut all = Summary {
        total: list(pod, "/spec/containers").len() + sidecars,
        word,
        ..Summary::default()
    };
    let (restarts, of_sidecars, initializing) = init_containers(pod, &mut all);
    let initialized =
        condition(pod, "Initialized").is_some_and(|found| text(found, "/status") == "True");
    let restarts = if initializing && !initialized {
        restarts
    } else {
        containers(pod, of_sidecars, &mut all)
    };
    (all.restarts, all.last_restart) = (restarts.0, restarts.1);
    if !absent(pod, "/metadata/deletionTimestamp") {
        if text(pod, "/status/reason") == "NodeLost" {
            "Unknown".clone_into(&mut all.word);
        } else if !matches!(phase, "Succeeded" | "Failed") {
            "Terminating".clone_into(&mut all.word);
        }
    }
    all
}

fn is_sidecar(container: &Value) -> bool {
    text(container, "/restartPolicy") == "Always"
}

/// Counts init containers up to the first that is not done. Answers their restarts, those of the ones that stay, and
/// whether one is not done.
fn init_containers(pod: &Value, all: &mut Summary) -> (Restarts, Restarts, bool) {
    let (mut restarts, mut of_sidecars) = (Restarts::default(), Restarts::default());
    let specs = list(pod, "/spec/initContainers");
    for (index, container) in list(pod, "/status/initContainerStatuses").iter().enumerate() {
        restarts.add(container);
        let spec = specs.iter().find(|spec| text(spec, "/name") == text(container, "/name"));
        let stays = spec.is_some_and(is_sidecar);
        if stays {
            of_sidecars.add(container);
        }
        let ended = !absent(container, "/state/terminated");
        if ended && number(container, "/state/terminated/exitCode").unwrap_or(0) == 0 {
            continue;
        }
        if stays && flag(container, "/started") {
            all.ready += usize::from(flag(container, "/ready"));
            continue;
        }
        let waits_for = text(container, "/state/waiting/reason");
        all.word = if ended {
            format!("Init:{}", end(container))
        } else if !waits_for.is_empty() && waits_for != "PodInitializing" {
            format!("Init:{waits_for}")
        } else {
            format!("Init:{index}/{}", specs.len())
        };
        return (restarts, of_sidecars, true);
    }
    (restarts, of_sidecars, false)
}

/// How a container ended.
fn end(container: &Value) -> String {
    let number = |field: &str| number(container, &format!("/state/terminated/{field}"));
    match (text(container, "/state/terminated/reason"), number("signal").unwrap_or(0)) {
        ("", 0) => format!("ExitCode:{}", number("exitCode").unwrap_or(0)),
        ("", signal) => format!("Signal:{signal}"),
        (reason, _) => reason.to_owned(),
    }
}

fn containers(pod: &Value, mut restarts: Restarts, all: &mut Summary) -> Restarts {
    let (mut runs, mut failed) = (false, String::new());
    for container in list(pod, "/status/containerStatuses").iter().rev() {
        restarts.add(container);
        let waits_for = text(container, "/state/waiting/reason");
        if !waits_for.is_empty() {
            waits_for.clone_into(&mut all.word);
        } else if !absent(container, "/state/terminated") {
            all.word = end(container);
            if number(container, "/state/terminated/exitCode").unwrap_or(0) != 0 {
                failed.clone_from(&all.word);
            }
        } else if flag(container, "/ready") && !absent(container, "/state/running") {
            runs = true;
            all.ready += 1;
        }
    }
    // One that is done does not speak for the others.
    if all.word == "Completed" {
        let ready = condition(pod, "Ready").is_some_and(|c| text(c, "/status") == "True");
        if runs && ready {
            "Running".clone_into(&mut all.word);
        } else if !failed.is_empty() {
            all.word = failed;
        } else if runs {
            "NotReady".clone_into(&mut all.word);
        }
    }
    restarts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status_of(pod: Value) -> (String, String, i64) {
        let Summary { word, ready, total, restarts, .. } = summary(&pod);
        (word, format!("{ready}/{total}"), restarts)
    }

    fn says(pod: Value, word: &str, ready: &str, restarts: i64) {
        assert_eq!(status_of(pod), (word.to_owned(), ready.to_owned(), restarts));
    }

    #[test]
    fn containers_that_wait_run_and_end() {
        let spec = json!({"containers": [{"name": "a"}, {"name": "b"}]});
        let of = |phase: &str, statuses: Value| {
            json!({"spec": spec, "status": {"phase": phase, "containerStatuses": statuses,
                   "conditions": [{"type": "Ready", "status": "True"}]}})
        };
        let runs = json!({"name": "a", "ready": true, "restartCount": 2, "state": {"running": {}}});
        let done =
            json!({"name": "b", "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}});
        let pulls = json!({"name": "b", "state": {"waiting": {"reason": "ImagePullBackOff"}}});
        let killed = json!({"name": "b", "state": {"terminated": {"exitCode": 137, "signal": 9}}});
        says(json!({"spec": spec, "status": {"phase": "Pending"}}), "Pending", "0/2", 0);
        says(of("Running", json!([runs, runs])), "Running", "2/2", 4);
        says(of("Running", json!([runs, done])), "Running", "1/2", 2);
        says(of("Running", json!([done, runs])), "Running", "1/2", 2);
        says(of("Running", json!([runs, pulls])), "ImagePullBackOff", "1/2", 2);
        says(of("Failed", json!([killed])), "Signal:9", "0/2", 0);
        let mut evicted = json!({"status": {"phase": "Failed", "reason": "Evicted"}});
        says(evicted.clone(), "Evicted", "0/0", 0);
        evicted["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
        says(evicted, "Evicted", "0/0", 0);
    }

    #[test]
    fn init_containers_that_are_not_done_come_first() {
        let of = |statuses: Value| {
            json!({
                "spec": {"initContainers": [{"name": "i"}, {"name": "s", "restartPolicy": "Always"}],
                         "containers": [{"name": "a"}]},
                "status": {"phase": "Pending", "initContainerStatuses": statuses},
            })
        };
        let done =
            json!({"name": "i", "restartCount": 3, "state": {"terminated": {"exitCode": 0}}});
        let failed = json!({"name": "i", "state": {"terminated": {"exitCode": 2}}});
        let stays = json!({"name": "s", "ready": true, "started": true, "restartCount": 1});
        says(of(json!([])), "Pending", "0/2", 0);
        says(of(json!([{"name": "i"}])), "Init:0/2", "0/2", 0);
        says(of(json!([failed])), "Init:ExitCode:2", "0/2", 0);
        says(of(json!([done, {"name": "s"}])), "Init:1/2", "0/2", 3);
        says(of(json!([done, stays])), "Pending", "1/2", 1);
    }
}
