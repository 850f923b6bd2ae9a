//! What admission policies say of a write.

use serde_json::Value;

use super::{Call, Part};
use crate::apiserver::{
    failure::Failure,
    object,
    policy::{self, Bound, Request},
    store::Range,
};

const GROUP: &str = "admissionregistration.k8s.io";
const BINDINGS: &str = "validatingadmissionpolicybindings";

impl Call {
    /// Whether there are policies that are asked about anything.
    pub(super) fn has_policies(&self) -> bool {
        !self.all_of(GROUP, "v1", BINDINGS, None).is_empty()
    }

    /// Asks the policies about a write: of a new object, of a change, or with no `new` of a deletion. Answers what its
    /// writer is warned of.
    ///
    /// # Errors
    /// What a policy refuses.
    pub(super) fn ask_policies(
        &self,
        name: &str,
        new: Option<&Value>,
        old: Option<&Value>,
        part: Part,
        dry_run: bool,
    ) -> Result<Vec<String>, Failure> {
        let definition = self.definition();
        // Policies could otherwise lock themselves in.
        if definition.group == GROUP {
            return Ok(Vec::new());
        }
        let bindings = self.all_of(GROUP, "v1", BINDINGS, None);
        if bindings.is_empty() {
            return Ok(Vec::new());
        }
        let policies = self.all_of(GROUP, "v1", "validatingadmissionpolicies", None);
        let namespace_object = definition
            .namespaced
            .then(|| self.server.namespace(self.namespace()))
            .flatten()
            .map(|stored| stored.value());
        let request = Request {
            operation: match (new, old) {
                (None, _) => "DELETE",
                (_, None) => "CREATE",
                (_, Some(_)) => "UPDATE",
            },
            group: &definition.group,
            version: &definition.version,
            kind: &definition.kind,
            resource: &definition.plural,
            subresource: part.subresource().unwrap_or_default(),
            namespaced: definition.namespaced,
            namespace: self.namespace(),
            name,
            object: new,
            old,
            namespace_object: namespace_object.as_ref(),
            user: &self.user,
            dry_run,
        };
        let mut warnings = Vec::new();
        for (policy, binding) in policy::about(&request, &policies, &bindings) {
            let params = self.params(policy, binding);
            let verdict = match params.is_empty() {
                true => policy::without_params(policy, binding),
                false => {
                    let bound: Vec<Bound<'_>> = params
                        .into_iter()
                        .map(|params| Bound { policy, binding, params })
                        .collect();
                    policy::judge(&request, &bound)
                }
            };
            warnings.extend(verdict.warnings);
            if let Some((message, reason)) = verdict.denied {
                let refused = Failure::denied(definition, name, &message, &reason);
                return Err(refused.warn(warnings));
            }
        }
        Ok(warnings)
    }

    /// The parameters of a binding: one `null` where its policy takes none.
    fn params(&self, policy: &Value, binding: &Value) -> Vec<Value> {
        let text = |of: &Value, at: &str| {
            of.pointer(at).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let api_version = text(policy, "/spec/paramKind/apiVersion");
        let Some(reference) = binding.pointer("/spec/paramRef").filter(|r| r.is_object()) else {
            return vec![Value::Null];
        };
        if api_version.is_empty() {
            return vec![Value::Null];
        }
        let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
        let kind = text(policy, "/spec/paramKind/kind");
        let served = self.server.registry.served();
        let definition = served.definitions.iter().find(|definition| {
            definition.group == group && definition.version == version && definition.kind == kind
        });
        let Some(definition) = definition else { return Vec::new() };
        let namespace = match text(reference, "/namespace") {
            none if none.is_empty() => self.namespace().to_owned(),
            namespace => namespace,
        };
        let within = definition.namespaced.then_some(namespace);
        let objects = self.all_of(group, version, &definition.plural, within.as_deref());
        let name = text(reference, "/name");
        let selector = reference.get("selector").filter(|selector| selector.is_object());
        let chosen = objects.into_iter().filter(|object| match selector {
            Some(selector) => {
                let labels = object.pointer("/metadata/labels").unwrap_or(&Value::Null);
                crate::apiserver::builtin::admission::label_selector_matches(selector, labels)
            }
            None => object::name(object) == name,
        });
        chosen.collect()
    }

    fn all_of(&self, group: &str, version: &str, plural: &str, within: Option<&str>) -> Vec<Value> {
        let served = self.server.registry.served();
        let Some(resource) = served.find(group, version, plural) else { return Vec::new() };
        let range = Range { namespace: within.map(str::to_owned), ..Range::default() };
        let page = self.server.store.list(&resource.id, &range);
        page.map(|page| page.objects.iter().map(|o| resource.read(o)).collect()).unwrap_or_default()
    }
}
