//! Which member clusters can take anything at all, and which a policy admits (fleet-semantics §4.1).

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{
    api::core::v1::{Taint, Toleration},
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};
use kube::core::{Selector, SelectorExt as _};
use serde_json::Value;

use crate::{
    api::{
        MemberCluster,
        condition::{self, Truth},
        member,
        placement::PlacementPolicy,
    },
    model::Scope,
};

/// How old a heartbeat, and how long a bad health, is borne.
const PATIENCE: SignedDuration = SignedDuration::from_mins(5);

/// Returns why a cluster cannot take anything, or nothing if it can.
pub fn ineligible(cluster: &MemberCluster, now: Timestamp) -> Option<String> {
    if cluster.metadata.deletion_timestamp.is_some() {
        return Some("cluster has left the fleet".into());
    }
    let because = |why: &str| Some(format!("cluster is not connected to the fleet: {why}"));
    let agents = cluster.status.as_ref().and_then(|status| status.agent_status.as_ref());
    let agent = agents.into_iter().flatten().find(|agent| agent.kind == member::MEMBER_AGENT);
    let Some(agent) = agent else { return because("member agent not online yet") };
    if condition::truth(&agent.conditions, member::JOINED) != Some(Truth::True) {
        return because("member agent not joined yet");
    }
    match &agent.last_received_heartbeat {
        None => return because("no heartbeat signals yet"),
        Some(heartbeat) if now.duration_since(heartbeat.0) > PATIENCE => {
            return because("no recent heartbeat signals");
        }
        Some(_) => {}
    }
    let health = condition::find(&agent.conditions, member::HEALTHY);
    match health {
        Some(health) if health.status == "True" => None,
        Some(health) if now.duration_since(health.last_transition_time.0) < PATIENCE => None,
        _ => because("unhealthy for a prolonged period of time"),
    }
}

/// What a policy asks of a cluster.
#[derive(Clone, Debug)]
pub struct Filter {
    /// Any of these; none asks for nothing.
    terms: Vec<Selector>,
    restricted: bool,
    tolerations: Vec<Toleration>,
    namespace: Option<String>,
}

impl Filter {
    /// Reads a policy.
    ///
    /// # Errors
    /// A sentence, when the policy asks for what this engine cannot judge.
    pub fn new(policy: Option<&PlacementPolicy>, scope: &Scope) -> Result<Self, String> {
        let mut filter = Self {
            terms: Vec::new(),
            restricted: false,
            tolerations: policy.and_then(|policy| policy.tolerations.clone()).unwrap_or_default(),
            namespace: scope.namespace().map(str::to_owned),
        };
        let Some(affinity) = policy.and_then(|policy| policy.affinity.as_ref()) else {
            return Ok(filter);
        };
        let cluster = affinity.get("clusterAffinity").unwrap_or(&Value::Null);
        let terms =
            cluster.pointer("/requiredDuringSchedulingIgnoredDuringExecution/clusterSelectorTerms");
        for term in terms.and_then(Value::as_array).into_iter().flatten() {
            if term.get("propertySelector").is_some_and(|selector| !selector.is_null()) {
                return Err("property selectors are not supported by this engine".into());
            }
            let labels = term.get("labelSelector").cloned().unwrap_or(Value::Null);
            let labels: LabelSelector = match labels {
                Value::Null => LabelSelector::default(),
                labels => serde_json::from_value(labels)
                    .map_err(|error| format!("a cluster selector term is malformed: {error}"))?,
            };
            let selector = Selector::try_from(labels)
                .map_err(|error| format!("a cluster selector term is malformed: {error}"))?;
            filter.terms.push(selector);
            filter.restricted = true;
        }
        let preferred = cluster.get("preferredDuringSchedulingIgnoredDuringExecution");
        if preferred.and_then(Value::as_array).is_some_and(|terms| !terms.is_empty()) {
            return Err("preferred cluster affinity is not supported by this engine".into());
        }
        Ok(filter)
    }

    /// Returns why the policy keeps a cluster out, or nothing if it does not.
    pub fn refuses(&self, cluster: &MemberCluster) -> Option<&'static str> {
        let labels = cluster.metadata.labels.clone().unwrap_or_default();
        if self.restricted && !self.terms.iter().any(|term| matches(term, &labels)) {
            return Some("cluster does not match with any of the required cluster affinity terms");
        }
        let taints = cluster.spec.taints.iter().flatten();
        if taints.into_iter().any(|taint| !self.tolerates(taint)) {
            return Some("cluster has a taint that the placement does not tolerate");
        }
        let namespaces = cluster.status.as_ref().and_then(|status| status.namespaces.as_ref());
        if let (Some(wanted), Some(held)) = (&self.namespace, namespaces)
            && !held.contains_key(wanted)
        {
            return Some("cluster does not have the placement's namespace");
        }
        None
    }

    fn tolerates(&self, taint: &Taint) -> bool {
        self.tolerations.iter().any(|toleration| {
            let effect = toleration.effect.as_deref().unwrap_or_default();
            let key = toleration.key.as_deref().unwrap_or_default();
            let exists = toleration.operator.as_deref() == Some("Exists");
            (effect.is_empty() || effect == taint.effect)
                && (key == taint.key || (key.is_empty() && exists))
                && (exists
                    || toleration.value.as_deref().unwrap_or_default()
                        == taint.value.as_deref().unwrap_or_default())
        })
    }
}

fn matches(selector: &Selector, labels: &BTreeMap<String, String>) -> bool {
    selector.matches(labels)
}
