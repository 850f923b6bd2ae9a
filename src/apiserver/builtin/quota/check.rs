//! Whether quotas have room for an object, and how much of them is used.

use serde_json::{Value, json};

use super::{
    super::{
        ResourceDefinition,
        types::Quantity,
        value::{list, text},
    },
    amounts::Amounts,
    pod,
    usage::{Counted, is_about, usage},
};

/// The scopes of a quota, each with an operator.
fn scopes(quota: &Value) -> Vec<Value> {
    let plain = list(quota, "/spec/scopes").iter();
    let plain = plain.map(|name| json!({"scopeName": name, "operator": "Exists"}));
    plain.chain(list(quota, "/spec/scopeSelector/matchExpressions").iter().cloned()).collect()
}

/// Whether the scopes of a quota take an object in.
fn is_in_scope(definition: &ResourceDefinition, object: &Value, quota: &Value) -> bool {
    let scopes = scopes(quota);
    match Counted::of(definition) {
        Counted::Pod => scopes.iter().all(|scope| pod::is_in(object, scope)),
        Counted::Claim => scopes.iter().all(|scope| claim_is_in(object, scope)),
        _ => scopes.is_empty(),
    }
}

/// Whether a scope of a quota takes a claim in: by the classes of attributes that it has, or is to get.
fn claim_is_in(claim: &Value, scope: &Value) -> bool {
    if text(scope, "/scopeName") != "VolumeAttributesClass" {
        return false;
    }
    let classes: Vec<&str> = [
        "/spec/volumeAttributesClassName",
        "/status/currentVolumeAttributesClassName",
        "/status/modifyVolumeStatus/targetVolumeAttributesClassName",
    ]
    .map(|at| text(claim, at))
    .into_iter()
    .filter(|class| !class.is_empty())
    .collect();
    let listed = |class: &&str| list(scope, "/values").iter().any(|value| value == class);
    match text(scope, "/operator") {
        "Exists" => !classes.is_empty(),
        "DoesNotExist" => classes.is_empty(),
        "In" => classes.iter().any(listed),
        "NotIn" => classes.is_empty() || classes.iter().any(|class| !listed(class)),
        _ => false,
    }
}

/// What a quota bounds of objects of this kind.
fn bounded(definition: &ResourceDefinition, hard: &Amounts) -> Amounts {
    let names = hard.0.iter().filter(|(name, _)| is_about(definition, name));
    Amounts(names.map(|(name, amount)| (name.clone(), *amount)).collect())
}

/// What a quota allows of each of the things that it counts.
pub(crate) fn hard_of(quota: &Value) -> Value {
    quota.pointer("/spec/hard").cloned().unwrap_or_else(|| json!({}))
}

/// Whether a write changes what quotas count: a creation, or another use by an object that is there.
fn is_judged(
    definition: &ResourceDefinition,
    new: &Value,
    old: Option<&Value>,
    resizes: bool,
) -> bool {
    let Some(old) = old else { return true };
    match Counted::of(definition) {
        Counted::Pod => resizes || pod::is_terminating(old) != pod::is_terminating(new),
        Counted::Service | Counted::Claim => true,
        Counted::Other => false,
    }
}

/// What the status of a quota becomes when an object is written; `None` where it stays.
///
/// # Errors
/// Why the quota has no room.
pub(crate) fn charge(
    definition: &ResourceDefinition,
    quota: &Value,
    new: &Value,
    old: Option<&Value>,
    resizes: bool,
) -> Result<Option<Value>, String> {
    if !is_judged(definition, new, old, resizes) || !is_in_scope(definition, new, quota) {
        return Ok(None);
    }
    let name = text(quota, "/metadata/name");
    let hard = Amounts::read(quota.pointer("/status/hard"));
    let used = Amounts::read(quota.pointer("/status/used"));
    let bounded = bounded(definition, &hard);
    if bounded.0.is_empty() {
        return Ok(None);
    }
    if Counted::of(definition) == Counted::Pod
        && let Some(unsaid) = pod::unsaid(new, &bounded)
    {
        return Err(format!("failed quota: {name}: {unsaid}"));
    }
    let mut wanted = usage(definition, new);
    if let Some(old) = old.filter(|old| is_in_scope(definition, old, quota)) {
        wanted = wanted.beyond(&usage(definition, old));
    }
    let wanted = wanted.positive().only(&hard);
    if wanted.0.is_empty() {
        return Ok(None);
    }
    let mut then = used.clone();
    then.add(&wanted);
    let exceeded: Vec<&String> = wanted
        .0
        .keys()
        .filter(|name| then.0.get(*name).map(|t| t.nano) > hard.0.get(*name).map(|h| h.nano))
        .collect();
    if !exceeded.is_empty() {
        let mask =
            Amounts(exceeded.iter().map(|name| ((*name).clone(), Quantity::of(0))).collect());
        let (wanted, used, hard) = (wanted.only(&mask), used.only(&mask), hard.only(&mask));
        return Err(format!(
            "exceeded quota: {name}, requested: {wanted}, used: {used}, limited: {hard}"
        ));
    }
    Ok(Some(json!({"hard": hard.write(), "used": then.write()})))
}

/// The status of a quota, counted anew: `objects` are those of each kind that it may be about.
pub(crate) fn recount<'o>(
    quota: &Value,
    kinds: impl Iterator<Item = &'o ResourceDefinition>,
    objects: impl Fn(&ResourceDefinition) -> Vec<Value>,
) -> Value {
    let hard = Amounts::read(quota.pointer("/spec/hard"));
    let mut used = Amounts::read(quota.pointer("/status/used"));
    for definition in kinds {
        let bounded = bounded(definition, &hard);
        if bounded.0.is_empty() {
            continue;
        }
        let mut counted = Amounts::default();
        for name in bounded.0.keys() {
            counted.put(name.as_str(), Quantity::of(0));
        }
        for object in objects(definition) {
            if is_in_scope(definition, &object, quota) {
                counted.add(&usage(definition, &object).only(&bounded));
            }
        }
        used.0.extend(counted.0);
    }
    json!({"hard": hard.write(), "used": used.only(&hard).write()})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apiserver::builtin::catalog;

    fn kind(plural: &str) -> ResourceDefinition {
        catalog().into_iter().find(|d| d.plural == plural && d.group.is_empty()).unwrap()
    }

    fn pod(requests: &Value) -> Value {
        json!({"spec": {"containers": [
            {"name": "a", "resources": {"requests": requests, "limits": requests}}]}})
    }

    #[test]
    fn a_quota_is_used_until_it_is_exceeded() {
        let pods = kind("pods");
        let hard = json!({"pods": "2", "requests.cpu": "1"});
        let quota = json!({"metadata": {"name": "q"}, "spec": {"hard": hard},
            "status": {"hard": hard, "used": {"pods": "1", "requests.cpu": "600m"}}});
        let small = pod(&json!({"cpu": "400m"}));
        let charged = charge(&pods, &quota, &small, None, false).unwrap().unwrap();
        assert_eq!(charged["used"], json!({"pods": "2", "requests.cpu": "1"}));
        let large = pod(&json!({"cpu": "500m"}));
        assert_eq!(
            charge(&pods, &quota, &large, None, false),
            Err("exceeded quota: q, requested: requests.cpu=500m, used: requests.cpu=600m, limited: requests.cpu=1"
                .to_owned())
        );
        let silent = pod(&json!({"memory": "1Gi"}));
        assert_eq!(
            charge(&pods, &quota, &silent, None, false),
            Err("failed quota: q: must specify requests.cpu for: a".to_owned())
        );
        assert_eq!(charge(&pods, &quota, &large, Some(&large), false), Ok(None));
    }

    #[test]
    fn scopes_choose_pods() {
        let pods = kind("pods");
        let hard = json!({"pods": "0"});
        let quota = |scope: &str| {
            json!({"metadata": {"name": "q"}, "spec": {"hard": hard, "scopes": [scope]},
                "status": {"hard": hard, "used": {"pods": "0"}}})
        };
        let mut best_effort = pod(&json!({}));
        best_effort["spec"]["activeDeadlineSeconds"] = 10.into();
        let asks = pod(&json!({"cpu": "1"}));
        for (scope, object, counts) in [
            ("BestEffort", &best_effort, true),
            ("BestEffort", &asks, false),
            ("NotBestEffort", &asks, true),
            ("Terminating", &best_effort, true),
            ("NotTerminating", &best_effort, false),
            ("NotTerminating", &asks, true),
        ] {
            let refused = charge(&pods, &quota(scope), object, None, false).is_err();
            assert_eq!(refused, counts, "{scope} {object}");
        }
    }

    #[test]
    fn services_count_their_ports() {
        let services = kind("services");
        let hard = json!({"services": "9", "services.nodeports": "1", "count/services": "9"});
        let quota = json!({"spec": {"hard": hard}});
        let objects = |_: &ResourceDefinition| {
            vec![
                json!({"spec": {"type": "NodePort", "ports": [{"port": 1}, {"port": 2}]}}),
                json!({"spec": {"type": "ClusterIP", "ports": [{"port": 1}]}}),
            ]
        };
        let status = recount(&quota, std::iter::once(&services), objects);
        let used = json!({"count/services": "2", "services": "2", "services.nodeports": "2"});
        assert_eq!(status["used"], used);
    }
}
