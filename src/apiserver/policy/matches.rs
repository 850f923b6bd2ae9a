//! Which requests a policy is about.

use serde_json::Value;

use crate::apiserver::{
    builtin::{
        admission::label_selector_matches,
        value::{list, text},
    },
    user::User,
};

/// A request as policies see it.
pub(in crate::apiserver) struct Request<'r> {
    /// `CREATE`, `UPDATE` or `DELETE`.
    pub operation: &'static str,
    pub group: &'r str,
    pub version: &'r str,
    pub kind: &'r str,
    pub resource: &'r str,
    pub subresource: &'r str,
    pub namespaced: bool,
    pub namespace: &'r str,
    pub name: &'r str,
    pub object: Option<&'r Value>,
    pub old: Option<&'r Value>,
    pub namespace_object: Option<&'r Value>,
    pub user: &'r User,
    pub dry_run: bool,
}

impl Request<'_> {
    /// Whether `matchConstraints` or `matchResources` take the request in. Without rules, `all_unless_said` decides.
    pub(super) fn is_in(&self, of: &Value, all_unless_said: bool) -> bool {
        let rules = list(of, "/resourceRules");
        let named = match rules.is_empty() {
            true => all_unless_said,
            false => rules.iter().any(|rule| self.is_named(rule)),
        };
        named
            && !list(of, "/excludeResourceRules").iter().any(|rule| self.is_named(rule))
            && self.is_of_namespace(of.get("namespaceSelector"))
            && self.is_labelled(of.get("objectSelector"))
    }

    fn is_named(&self, rule: &Value) -> bool {
        let has = |field: &str, wanted: &str| {
            list(rule, field).iter().any(|given| given == "*" || given == wanted)
        };
        let names = list(rule, "/resourceNames");
        let scope = match text(rule, "/scope") {
            "Namespaced" => self.namespaced,
            "Cluster" => !self.namespaced,
            _ => true,
        };
        scope
            && has("/operations", self.operation)
            && has("/apiGroups", self.group)
            && has("/apiVersions", self.version)
            && list(rule, "/resources")
                .iter()
                .filter_map(Value::as_str)
                .any(|r| self.is_resource(r))
            && (names.is_empty() || names.iter().any(|name| name == self.name))
    }

    /// `pods`, `pods/*`, `*/scale`, `*/*`; `*` is every resource and no part of one.
    fn is_resource(&self, given: &str) -> bool {
        let (resource, part) = given.split_once('/').unwrap_or((given, ""));
        let has_part = given.contains('/');
        (resource == "*" || resource == self.resource)
            && match has_part {
                true => part == "*" || part == self.subresource,
                false => self.subresource.is_empty(),
            }
    }

    fn is_of_namespace(&self, selector: Option<&Value>) -> bool {
        let Some(selector) = selector.filter(|selector| selector.is_object()) else { return true };
        let is_namespace = self.group.is_empty() && self.resource == "namespaces";
        let labels = match (is_namespace, self.namespaced) {
            (true, _) => self.object.or(self.old),
            (false, true) => self.namespace_object,
            (false, false) => return true,
        };
        let labels = labels.and_then(|object| object.pointer("/metadata/labels"));
        label_selector_matches(selector, labels.unwrap_or(&Value::Null))
    }

    fn is_labelled(&self, selector: Option<&Value>) -> bool {
        let Some(selector) = selector.filter(|selector| selector.is_object()) else { return true };
        [self.object, self.old].into_iter().flatten().any(|object| {
            let labels = object.pointer("/metadata/labels").unwrap_or(&Value::Null);
            label_selector_matches(selector, labels)
        })
    }
}
