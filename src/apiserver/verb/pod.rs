//! What pods have beside their objects: a place on a node, a way out that asks disruption budgets, and what a node would
//! answer, which there is none to do.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{
    Call, delete,
    delete::{Deletion, Propagation},
    options::is_dry,
};
use crate::apiserver::{
    answer::Answer,
    builtin::admission::label_selector_matches,
    decode,
    failure::Failure,
    field, object,
    registry::Resource,
    store::{CommitError, Range, Stored, Write},
};

/// Answers a request for a part of a pod that is no part of its object. None for other parts.
pub(super) async fn part(call: &Call, name: &str, part: &str) -> Option<Result<Answer, Failure>> {
    if !call.resource.is("", "Pod") {
        return None;
    }
    let allowed: &[Method] = match part {
        "binding" | "eviction" => &[Method::POST],
        "log" => &[Method::GET],
        "attach" | "exec" | "portforward" => &[Method::GET, Method::POST],
        _ => return None,
    };
    if !allowed.contains(&call.method) {
        let verb = super::verb_of(&call.method);
        return Some(Err(Failure::method_not_allowed(call.definition(), verb)));
    }
    Some(match part {
        "binding" => bind(call, name).await,
        "eviction" => evict(call, name).await,
        _ => on_its_node(call, name, part),
    })
}

/// POST on `bindings`, which names the pod in its body.
pub(super) async fn bind_named(call: &Call) -> Result<Answer, Failure> {
    let binding = read(call, "v1", "Binding")?;
    let name = object::name(&binding).to_owned();
    bind_to(call, &name, &binding).await
}

async fn bind(call: &Call, name: &str) -> Result<Answer, Failure> {
    let binding = read(call, "v1", "Binding")?;
    bind_to(call, name, &binding).await
}

/// Reads a body of another kind than the resource's.
fn read(call: &Call, api_version: &str, kind: &str) -> Result<Value, Failure> {
    let decoded = decode::object(&call.content_type, &call.body)
        .map_err(|error| error.about(kind, &call.body))?;
    let mut value = decoded.value;
    let text = |field: &str| value.get(field).and_then(Value::as_str).unwrap_or_default();
    let (given_version, given) = (text("apiVersion").to_owned(), text("kind").to_owned());
    let is_other = (!given.is_empty() && given != kind)
        || (!given_version.is_empty() && given_version != api_version);
    if is_other {
        return Err(Failure::bad_request(format!(
            "no kind \"{given}\" is registered for version \"{given_version}\" in scheme \
             \"pkg/runtime/scheme.go:111\""
        )));
    }
    object::metadata_mut(&mut value);
    call.check_namespace(&mut value)?;
    Ok(value)
}

/// Puts a pod on a node.
async fn bind_to(call: &Call, name: &str, binding: &Value) -> Result<Answer, Failure> {
    if object::name(binding) != name {
        return Err(Failure::bad_request("name in URL does not match name in Binding object"));
    }
    let text = |at: &str| binding.pointer(at).and_then(Value::as_str).unwrap_or_default();
    let kind = text("/target/kind");
    if !kind.is_empty() && kind != "Node" {
        return Err(Failure::faulty(format!(
            "target.kind: Unsupported value: \"{kind}\": supported values: \"Node\", \"<empty>\""
        )));
    }
    let node = text("/target/name");
    if node.is_empty() {
        return Err(Failure::faulty("target.name: Required value"));
    }
    let options = call.write_options("CreateOptions")?;
    let served = call.server.registry.served();
    let pods = served.find("", "v1", "pods").ok_or_else(Failure::no_such_resource)?;
    change(call, pods, name, options.dry_run, |pod, stored| {
        let refuse = |why: String| Failure::about_part(&pods.definition, "binding", name, &why);
        let uid = object::text(binding, "uid");
        if !uid.is_empty() && uid != &*stored.uid {
            let namespace = call.namespace();
            let why = format!(
                "StorageError: invalid object, Code: 4, Key: /registry/pods/{namespace}/{name}, ResourceVersion: 0, \
                 AdditionalErrorMsg: Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
                stored.uid
            );
            return Err(Failure::conflict(&pods.definition, name, &why));
        }
        let at = |path: &str| pod.pointer(path).and_then(Value::as_str).unwrap_or_default();
        if object::is_deleting(pod) {
            return Err(refuse(format!("pod {name} is being deleted, cannot be assigned to a host")));
        }
        if !at("/spec/nodeName").is_empty() {
            let node = at("/spec/nodeName");
            return Err(refuse(format!("pod {name} is already assigned to node \"{node}\"")));
        }
        let gates = pod.pointer("/spec/schedulingGates").and_then(Value::as_array);
        if gates.is_some_and(|gates| !gates.is_empty()) {
            return Err(refuse(format!("pod {name} has non-empty .spec.schedulingGates")));
        }
        pod["spec"]["nodeName"] = node.into();
        if let Some(status) = pod["status"].as_object_mut() {
            status.remove("nominatedNodeName");
        }
        for field in ["annotations", "labels"] {
            if let Some(Value::Object(added)) = object::metadata(binding, field) {
                let mut all = object::metadata(pod, field).cloned().unwrap_or_else(|| json!({}));
                if let Some(all) = all.as_object_mut() {
                    all.extend(added.clone());
                }
                object::set(pod, field, all);
            }
        }
        let now = object::time(call.server.now());
        set_pod_condition(pod, &now, json!({"type": "PodScheduled", "status": "True"}));
        Ok(())
    })
    .await?;
    Ok(done(call))
}

/// `Success`, as kube-apiserver answers a POST that makes nothing.
fn done(call: &Call) -> Answer {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201,
    });
    Answer::value(StatusCode::CREATED, &status, call.accept.text)
}

/// Changes a stored pod until nobody comes in between.
async fn change(
    call: &Call,
    pods: &Resource,
    name: &str,
    dry_run: bool,
    with: impl Fn(&mut Value, &Stored) -> Result<(), Failure>,
) -> Result<Option<u64>, Failure> {
    let key = super::Key::new(&pods.id, call.namespace(), name);
    loop {
        let stored = call.server.store.get(&key);
        let stored = stored.ok_or_else(|| Failure::not_found(&pods.definition, name))?;
        let mut object = stored.value();
        with(&mut object, &stored)?;
        if dry_run {
            return Ok(None);
        }
        let from = Some(stored.revision);
        let write = Write { key: key.clone(), from, object, delete: false, relies_on: None };
        match call.server.store.commit(write).await {
            Ok(stored) => return Ok(Some(stored.revision)),
            Err(CommitError::Stale) => {}
            Err(other) => return Err(other.into()),
        }
    }
}

fn set_pod_condition(pod: &mut Value, now: &str, mut condition: Value) {
    condition["lastProbeTime"] = Value::Null;
    if !pod["status"].is_object() {
        pod["status"] = json!({});
    }
    set_condition(&mut pod["status"]["conditions"], now, condition);
}

/// Sets the condition of a type, with a new time where its status changes.
fn set_condition(conditions: &mut Value, now: &str, mut new: Value) {
    if !conditions.is_array() {
        *conditions = json!([]);
    }
    let Some(list) = conditions.as_array_mut() else { return };
    new["lastTransitionTime"] = now.into();
    match list.iter_mut().find(|had| had["type"] == new["type"]) {
        Some(had) => {
            if had["status"] == new["status"] {
                new["lastTransitionTime"] = had["lastTransitionTime"].clone();
            }
            *had = new;
        }
        None => list.push(new),
    }
}

/// Takes a pod away, unless a disruption budget is against it.
async fn evict(call: &Call, name: &str) -> Result<Answer, Failure> {
    let eviction = read(call, "policy/v1", "Eviction")?;
    if object::name(&eviction) != name {
        return Err(Failure::bad_request("name in URL does not match name in Eviction object"));
    }
    let options = call.write_options("CreateOptions")?;
    let asked = eviction.get("deleteOptions").cloned().unwrap_or_default();
    let mut errors = Vec::new();
    let words = asked.get("dryRun").and_then(Value::as_array).cloned().unwrap_or_default();
    let dry_run = options.dry_run | is_dry(&words, &mut errors);
    if !errors.is_empty() {
        return Err(Failure::invalid_options("DeleteOptions", &errors));
    }
    let pod = call.server.store.get(&call.key(name));
    let pod = pod.ok_or_else(|| Failure::not_found(call.definition(), name))?.value();
    let phase = pod.pointer("/status/phase").and_then(Value::as_str).unwrap_or_default();
    let is_over = matches!(phase, "Succeeded" | "Failed" | "Pending") || object::is_deleting(&pod);
    if !is_over {
        ask_budgets(call, name, &pod, dry_run).await?;
    }
    let mut deletion = Deletion {
        propagation: match asked.get("propagationPolicy").and_then(Value::as_str) {
            Some("Background") => Some(Propagation::Background),
            Some("Foreground") => Some(Propagation::Foreground),
            Some("Orphan") => Some(Propagation::Orphan),
            _ => None,
        },
        uid: asked.pointer("/preconditions/uid").and_then(Value::as_str).map(str::to_owned),
        revision: asked
            .pointer("/preconditions/resourceVersion")
            .and_then(Value::as_str)
            .map(|text| text.parse().unwrap_or(0)),
        grace: asked.get("gracePeriodSeconds").and_then(Value::as_i64),
        dry_run,
        asked_not_to_orphan: false,
    };
    let now = object::time(call.server.now());
    let condition = json!({
        "type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI",
        "message": "Eviction API: evicting",
    });
    let changed = change(call, &call.resource, name, dry_run, |pod, stored| {
        delete::check_preconditions(&call.resource, stored, &deletion)?;
        set_pod_condition(pod, &now, condition.clone());
        Ok(())
    });
    let changed = changed.await?;
    if deletion.revision.is_some() && changed.is_some() {
        deletion.revision = changed;
    }
    delete::delete(&call.server, &call.resource, &call.key(name), &deletion).await?;
    Ok(done(call))
}

/// Asks the budgets of a running pod, and takes one disruption from the one that there may be.
async fn ask_budgets(call: &Call, name: &str, pod: &Value, dry_run: bool) -> Result<(), Failure> {
    let served = call.server.registry.served();
    let Some(budgets) = served.find("policy", "v1", "poddisruptionbudgets") else { return Ok(()) };
    loop {
        let range = Range { namespace: Some(call.namespace().to_owned()), ..Range::default() };
        let page = call.server.store.list(&budgets.id, &range);
        let page = page.map_err(|_| Failure::internal("the budgets could not be listed"))?;
        let of_pod = page.objects.iter().filter(|budget| {
            let budget = budget.value();
            let labels = object::metadata(pod, "labels").cloned().unwrap_or_default();
            let selector = budget.pointer("/spec/selector").cloned().unwrap_or_default();
            selector.is_object() && label_selector_matches(&selector, &labels)
        });
        let of_pod: Vec<_> = of_pod.collect();
        let [stored] = of_pod[..] else {
            if of_pod.is_empty() {
                return Ok(());
            }
            return Err(Failure::faulty(
                "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
            ));
        };
        let mut budget = stored.value();
        if spares_unhealthy(&budget, pod) {
            return Ok(());
        }
        let before = budget.clone();
        let now = call.server.now();
        take_disruption(&mut budget, name, &object::time(now))?;
        if dry_run {
            return Ok(());
        }
        let (manager, schema) = ("kube-apiserver", budgets.definition.schema());
        field::track_update(Some(&before), &mut budget, manager, Some("status"), schema, now);
        let from = Some(stored.revision);
        let key = stored.key.clone();
        let write = Write { key, from, object: budget, delete: false, relies_on: None };
        match call.server.store.commit(write).await {
            Ok(_) => return Ok(()),
            Err(CommitError::Stale) => {}
            Err(other) => return Err(other.into()),
        }
    }
}

/// Whether a budget lets a pod go that is not ready anyway.
fn spares_unhealthy(budget: &Value, pod: &Value) -> bool {
    let conditions = pod.pointer("/status/conditions").and_then(Value::as_array);
    let is_ready =
        conditions.into_iter().flatten().any(|c| c["type"] == "Ready" && c["status"] == "True");
    let number = |field: &str| budget["status"][field].as_i64().unwrap_or(0);
    let (healthy, wanted) = (number("currentHealthy"), number("desiredHealthy"));
    let always = budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow";
    !is_ready && (always || (healthy >= wanted && wanted > 0))
}

fn take_disruption(budget: &mut Value, pod: &str, now: &str) -> Result<(), Failure> {
    const AGAINST: &str = "Cannot evict pod as it would violate the pod's disruption budget.";
    let name = object::name(budget).to_owned();
    let number = |field: &str| budget["status"][field].as_i64().unwrap_or(0);
    let generation = object::metadata(budget, "generation").and_then(Value::as_i64).unwrap_or(0);
    if number("observedGeneration") < generation {
        let why = format!("The disruption budget {name} is still being processed by the server.");
        return Err(Failure::too_many_disruptions(AGAINST, &why, 10));
    }
    let allowed = number("disruptionsAllowed");
    if allowed <= 0 {
        let (wanted, healthy) = (number("desiredHealthy"), number("currentHealthy"));
        let why = if healthy <= wanted {
            format!(
                "The disruption budget {name} needs {wanted} healthy pods and has {healthy} currently"
            )
        } else {
            format!("The disruption budget {name} does not allow evicting pods currently")
        };
        return Err(Failure::too_many_disruptions(AGAINST, &why, 0));
    }
    budget["status"]["disruptionsAllowed"] = (allowed - 1).into();
    if !budget["status"]["disruptedPods"].is_object() {
        budget["status"]["disruptedPods"] = json!({});
    }
    budget["status"]["disruptedPods"][pod] = now.into();
    if allowed == 1 {
        let observed = budget["status"]["observedGeneration"].clone();
        let condition = json!({
            "type": "DisruptionAllowed", "status": "False", "reason": "InsufficientPods",
            "message": "", "observedGeneration": observed,
        });
        set_condition(&mut budget["status"]["conditions"], now, condition);
    }
    Ok(())
}

/// What a kubelet would answer: logs, terminals and ports.
fn on_its_node(call: &Call, name: &str, part: &str) -> Result<Answer, Failure> {
    let pod = call.server.store.get(&call.key(name));
    let pod = pod.ok_or_else(|| Failure::not_found(call.definition(), name))?.value();
    if part != "portforward" {
        check_container(&pod, name, call.query.get("container").unwrap_or_default())?;
    }
    let node = pod.pointer("/spec/nodeName").and_then(Value::as_str).unwrap_or_default();
    if node.is_empty() {
        return match part {
            "log" => Ok(Answer::nothing()),
            _ => {
                let why = format!("pod {name} does not have a host assigned");
                Err(Failure::bad_request(why))
            }
        };
    }
    let served = call.server.registry.served();
    let nodes = served.find("", "v1", "nodes").ok_or_else(Failure::no_such_resource)?;
    match call.server.store.get(&super::Key::new(&nodes.id, "", node)) {
        None => Err(Failure::not_found(&nodes.definition, node)),
        Some(_) => Err(Failure::faulty(format!(
            "there is no kubelet on node {node}: this server stores pods and runs none"
        ))),
    }
}

/// Checks that a container is named where there are several, and is there.
fn check_container(pod: &Value, name: &str, asked: &str) -> Result<(), Failure> {
    let names = |kind: &str| -> Vec<String> {
        let list = pod.pointer(&format!("/spec/{kind}")).and_then(Value::as_array);
        let names = list.into_iter().flatten().filter_map(|c| c["name"].as_str());
        names.map(str::to_owned).collect()
    };
    let [own, init, added] = ["containers", "initContainers", "ephemeralContainers"].map(names);
    if asked.is_empty() {
        let marked = object::metadata(pod, "annotations")
            .is_some_and(|a| a.get("kubectl.kubernetes.io/default-container").is_some());
        if own.len() <= 1 || marked {
            return Ok(());
        }
        let choice = own.join(" ");
        let mut text =
            format!("a container name must be specified for pod {name}, choose one of: [{choice}]");
        for (what, list) in [("init containers", init), ("ephemeral containers", added)] {
            if !list.is_empty() {
                text.push_str(&format!(" or one of the {what}: [{}]", list.join(" ")));
            }
        }
        return Err(Failure::bad_request(text));
    }
    let is_known = [own, init, added].iter().flatten().any(|known| known == asked);
    if is_known {
        return Ok(());
    }
    Err(Failure::bad_request(format!("container {asked} is not valid for pod {name}")))
}
