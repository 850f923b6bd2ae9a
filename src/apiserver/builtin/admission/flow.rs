//! Flow schemas and priority levels, by which kube-apiserver ranks requests.

use serde_json::Value;

use super::{
    super::value::{fill, list, number, object_at, set, text, texts},
    format::{self, all},
};
use crate::apiserver::schema::{FieldError, FieldErrorKind};

/// The schema and the level that stand above all others.
const EXEMPT: &str = "exempt";

const LOWEST_PRECEDENCE: i64 = 10_000;
const MOST_QUEUES: i64 = 10_000_000;
/// Bits of the hash by which requests are dealt to queues.
const HASH_BITS: f64 = 60.0;

const VERBS: [&str; 9] =
    ["create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch"];

/// Fills the defaults of a FlowSchema or PriorityLevelConfiguration.
pub(super) fn prepare(kind: &str, object: &mut Value) {
    let Some(spec) = object_at(object, "spec") else { return };
    if kind == "FlowSchema" {
        fill_zero(spec, "matchingPrecedence", 1000);
        return;
    }
    let given = |spec: &Value, part: &str| spec.get(part).is_some_and(Value::is_object);
    if given(spec, "exempt")
        && let Some(exempt) = object_at(spec, "exempt")
    {
        fill(exempt, "nominalConcurrencyShares", 0);
        fill(exempt, "lendablePercent", 0);
    }
    if given(spec, "limited")
        && let Some(limited) = object_at(spec, "limited")
    {
        fill(limited, "nominalConcurrencyShares", 30);
        fill(limited, "lendablePercent", 0);
        if let Some(queuing) =
            limited.pointer_mut("/limitResponse/queuing").filter(|queuing| queuing.is_object())
        {
            fill_zero(queuing, "handSize", 8);
            fill_zero(queuing, "queues", 64);
            fill_zero(queuing, "queueLengthLimit", 50);
        }
    }
}

/// Puts a number where there is none, or zero.
fn fill_zero(object: &mut Value, key: &str, default: i64) {
    if object.get(key).and_then(Value::as_i64).unwrap_or(0) == 0 {
        set(object, key, default);
    }
}

/// Validates a FlowSchema.
pub(super) fn validate_schema(object: &Value, errors: &mut Vec<FieldError>) {
    let name = text(object, "/metadata/name");
    let precedence = number(object, "/spec/matchingPrecedence").unwrap_or(0);
    let mut refuse = |said: &str| {
        errors.push(FieldError::invalid("spec.matchingPrecedence", &precedence.into(), said));
    };
    if precedence <= 0 {
        refuse("must be a positive value");
    }
    if precedence > LOWEST_PRECEDENCE {
        refuse(&format!("must not be greater than {LOWEST_PRECEDENCE}"));
    }
    if precedence == 1 && name != EXEMPT {
        refuse("only the schema named 'exempt' may have matchingPrecedence 1");
    }
    if let Some(method) = object.pointer("/spec/distinguisherMethod").filter(|m| m.is_object()) {
        let kind = text(method, "/type");
        if !matches!(kind, "ByUser" | "ByNamespace") {
            let known = ["ByNamespace", "ByUser"].map(str::to_owned);
            let path = "spec.distinguisherMethod.type";
            // As Go has it.
            let printed = serde_json::json!({"Type": kind});
            errors.push(FieldError::not_supported(path, &printed, &known));
        }
    }
    let path = "spec.priorityLevelConfiguration.name";
    match text(object, "/spec/priorityLevelConfiguration/name") {
        "" => errors.push(FieldError::required(path, "must reference a priority level")),
        level => all(format::dns_subdomain(level), path, level, errors),
    }
    for (index, rule) in list(object, "/spec/rules").iter().enumerate() {
        rules(rule, &format!("spec.rules[{index}]"), errors);
    }
    conditions(object, errors);
}

fn rules(rule: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let subjects = list(rule, "/subjects");
    if subjects.is_empty() {
        let said = "subjects must contain at least one value";
        errors.push(FieldError::required(format!("{path}.subjects"), said));
    }
    for (index, subject) in subjects.iter().enumerate() {
        self::subject(subject, &format!("{path}.subjects[{index}]"), errors);
    }
    let (resources, others) = (list(rule, "/resourceRules"), list(rule, "/nonResourceRules"));
    if resources.is_empty() && others.is_empty() {
        let said = "at least one of resourceRules and nonResourceRules has to be non-empty";
        errors.push(FieldError::required(path, said));
    }
    for (index, rule) in resources.iter().enumerate() {
        resource_rule(rule, &format!("{path}.resourceRules[{index}]"), errors);
    }
    for (index, rule) in others.iter().enumerate() {
        other_rule(rule, &format!("{path}.nonResourceRules[{index}]"), errors);
    }
}

fn subject(subject: &Value, path: &str, errors: &mut Vec<FieldError>) {
    const PARTS: [(&str, &str); 3] =
        [("ServiceAccount", "serviceAccount"), ("User", "user"), ("Group", "group")];
    let kind = text(subject, "/kind");
    let Some((_, own)) = PARTS.iter().find(|(known, _)| *known == kind) else {
        let known = ["Group", "ServiceAccount", "User"].map(str::to_owned);
        errors.push(FieldError::not_supported(format!("{path}.kind"), &kind.into(), &known));
        return;
    };
    match subject.get(*own).filter(|part| part.is_object()) {
        None => {
            let said = format!("{own} is required when subject kind is '{kind}'");
            errors.push(FieldError::required(format!("{path}.{own}"), &said));
        }
        Some(part) => {
            let name = text(part, "/name");
            if name.is_empty() {
                errors.push(FieldError::required(format!("{path}.{own}.name"), ""));
            } else if kind == "ServiceAccount" && name != "*" {
                let path = format!("{path}.{own}.name");
                all(format::dns_subdomain(name), &path, name, errors);
            }
            if kind == "ServiceAccount" {
                let path = format!("{path}.{own}.namespace");
                match text(part, "/namespace") {
                    "" => {
                        let said = "must specify namespace for service account";
                        errors.push(FieldError::required(path, said));
                    }
                    namespace => all(format::dns_label(namespace), &path, namespace, errors),
                }
            }
        }
    }
    for (other, part) in PARTS {
        if part != *own && subject.get(part).is_some_and(|part| !part.is_null()) {
            let said = format!("{part} is forbidden when subject kind is not '{other}'");
            errors.push(FieldError::forbidden(format!("{path}.{part}"), &said));
        }
    }
}

/// Refuses a list that is empty, or in which `*` does not stand alone. Answers whether its entries are to be judged.
fn wildcard(
    rule: &Value,
    field: &str,
    path: &str,
    (empty, others): (&str, &str),
    errors: &mut Vec<FieldError>,
) -> bool {
    let values = texts(rule, &format!("/{field}"));
    let has_wildcard = values.iter().any(|value| value == "*");
    let path = format!("{path}.{field}");
    if values.is_empty() {
        errors.push(FieldError::required(path, empty));
    } else if has_wildcard && values.len() > 1 {
        let said = format!("if '*' is present, must not specify other {others}");
        errors.push(FieldError::invalid(path, &values.clone().into(), &said));
    }
    !values.is_empty() && !has_wildcard
}

fn verbs(rule: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let words = ("verbs must contain at least one value", "verbs");
    if wildcard(rule, "verbs", path, words, errors) {
        let verbs = texts(rule, "/verbs");
        if !verbs.iter().all(|verb| VERBS.contains(&verb.as_str())) {
            let path = format!("{path}.verbs");
            errors.push(FieldError::not_supported(path, &verbs.into(), &VERBS.map(str::to_owned)));
        }
    }
}

fn resource_rule(rule: &Value, path: &str, errors: &mut Vec<FieldError>) {
    verbs(rule, path, errors);
    let words = ("resource rules must supply at least one api group", "api groups");
    wildcard(rule, "apiGroups", path, words, errors);
    let words = ("resource rules must supply at least one resource", "resources");
    wildcard(rule, "resources", path, words, errors);
    let is_cluster = rule.get("clusterScope") == Some(&Value::Bool(true));
    if is_cluster && list(rule, "/namespaces").is_empty() {
        return;
    }
    let words = (
        "resource rules that are not cluster scoped must supply at least one namespace",
        "namespaces",
    );
    if wildcard(rule, "namespaces", path, words, errors) {
        for (index, namespace) in texts(rule, "/namespaces").iter().enumerate() {
            let faults = format::dns_label(namespace).into_iter();
            let said = faults.map(|fault| {
                format!("each member of this list must be '*' or a DNS-1123 label; {fault}")
            });
            all(said.collect(), &format!("{path}.namespaces[{index}]"), namespace, errors);
        }
    }
}

fn other_rule(rule: &Value, path: &str, errors: &mut Vec<FieldError>) {
    verbs(rule, path, errors);
    let words = ("nonResourceURLs must contain at least one value", "non-resource URLs");
    if wildcard(rule, "nonResourceURLs", path, words, errors) {
        for (index, url) in texts(rule, "/nonResourceURLs").iter().enumerate() {
            let path = format!("{path}.nonResourceURLs[{index}]");
            all(url_fault(url).map(str::to_owned).into_iter().collect(), &path, url, errors);
        }
    }
}

/// What is wrong with a path outside the API.
fn url_fault(url: &str) -> Option<&'static str> {
    let stars = url.matches('*').count();
    match url {
        "" => Some("must not be empty"),
        "/" => None,
        _ if !url.starts_with('/') => Some("must start with slash"),
        _ if url.contains(' ') => Some("must not contain white-space"),
        _ if url.contains("//") => Some("must not contain double slash"),
        _ if stars > 1 || (stars == 1 && !url.ends_with("/*")) => {
            Some("wildcard can only do suffix matching")
        }
        _ => None,
    }
}

/// Validates a PriorityLevelConfiguration.
pub(super) fn validate_level(object: &Value, errors: &mut Vec<FieldError>) {
    let kind = text(object, "/spec/type");
    if (text(object, "/metadata/name") == EXEMPT) != (kind == "Exempt") {
        let said = "must be 'Exempt' if and only if `name` is 'exempt'";
        errors.push(FieldError::invalid("spec.type", &kind.into(), said));
    }
    let part = |at: &str| object.pointer(at).filter(|part| part.is_object());
    let (limited, exempt) = (part("/spec/limited"), part("/spec/exempt"));
    match kind {
        "Exempt" => {
            if limited.is_some() {
                let said = "must be nil if the type is not Limited";
                errors.push(FieldError::forbidden("spec.limited", said));
            }
            if let Some(exempt) = exempt {
                seats(exempt, "spec.exempt", errors);
            }
        }
        "Limited" => {
            if exempt.is_some() {
                let said = "must be nil if the type is Limited";
                errors.push(FieldError::forbidden("spec.exempt", said));
            }
            match limited {
                None => {
                    let said = "must not be empty when type is Limited";
                    errors.push(FieldError::required("spec.limited", said));
                }
                Some(limited) => self::limited(limited, "spec.limited", errors),
            }
        }
        "" => errors.push(FieldError::required("spec.type", "")),
        other => {
            let known = ["Exempt", "Limited"].map(str::to_owned);
            errors.push(FieldError::not_supported("spec.type", &other.into(), &known));
        }
    }
    conditions(object, errors);
}

/// Numbers that both types of level have.
fn seats(part: &Value, path: &str, errors: &mut Vec<FieldError>) {
    if let Some(shares) = number(part, "/nominalConcurrencyShares").filter(|shares| *shares < 0) {
        let path = format!("{path}.nominalConcurrencyShares");
        errors.push(FieldError::invalid(path, &shares.into(), "must be a non-negative integer"));
    }
    if let Some(percent) =
        number(part, "/lendablePercent").filter(|percent| !(0..=100).contains(percent))
    {
        let said = "must be between 0 and 100, inclusive";
        errors.push(FieldError::invalid(format!("{path}.lendablePercent"), &percent.into(), said));
    }
}

fn limited(limited: &Value, path: &str, errors: &mut Vec<FieldError>) {
    seats(limited, path, errors);
    if let Some(percent) = number(limited, "/borrowingLimitPercent").filter(|percent| *percent < 0)
    {
        let (path, said) = (
            format!("{path}.borrowingLimitPercent"),
            "if specified, must be a non-negative integer",
        );
        errors.push(FieldError::invalid(path, &percent.into(), said));
    }
    let path = format!("{path}.limitResponse");
    let queuing = limited.pointer("/limitResponse/queuing").filter(|queuing| queuing.is_object());
    match (text(limited, "/limitResponse/type"), queuing) {
        ("Reject", Some(_)) => {
            let said = "must be nil if limited.limitResponse.type is not Limited";
            errors.push(FieldError::forbidden(format!("{path}.queuing"), said));
        }
        ("Queue", None) => {
            let said = "must not be empty if limited.limitResponse.type is Limited";
            errors.push(FieldError::required(format!("{path}.queuing"), said));
        }
        ("Queue", Some(queuing)) => queues(queuing, &format!("{path}.queuing"), errors),
        ("Reject", None) => {}
        ("", _) => errors.push(FieldError::required(format!("{path}.type"), "")),
        (other, _) => {
            let known = ["Queue", "Reject"].map(str::to_owned);
            errors.push(FieldError::not_supported(format!("{path}.type"), &other.into(), &known));
        }
    }
}

fn queues(queuing: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let [length, queues, hand] = ["/queueLengthLimit", "/queues", "/handSize"]
        .map(|at| number(queuing, at).unwrap_or_default());
    let mut refuse = |field: &str, value: i64, said: &str| {
        errors.push(FieldError::invalid(format!("{path}.{field}"), &value.into(), said));
    };
    if length <= 0 {
        refuse("queueLengthLimit", length, "must be positive");
    }
    if queues <= 0 {
        refuse("queues", queues, "must be positive");
    } else if queues > MOST_QUEUES {
        refuse("queues", queues, &format!("must not be greater than {MOST_QUEUES}"));
    }
    // Both are 32 bits wide, which 64-bit floats hold exactly.
    let entropy = ((queues as f64).log2() * hand as f64).ceil();
    if hand <= 0 {
        refuse("handSize", hand, "must be positive");
    } else if hand > queues {
        refuse("handSize", hand, &format!("should not be greater than queues ({queues})"));
    } else if entropy > HASH_BITS {
        let said = format!(
            "required entropy bits of deckSize {queues} and handSize {hand} should not be greater than {HASH_BITS}"
        );
        refuse("handSize", hand, &said);
    }
}

fn conditions(object: &Value, errors: &mut Vec<FieldError>) {
    let mut seen = Vec::new();
    for (index, condition) in list(object, "/status/conditions").iter().enumerate() {
        let kind = text(condition, "/type");
        let path = format!("status.conditions[{index}].type");
        if seen.contains(&kind) {
            let duplicate = FieldErrorKind::Duplicate;
            errors.push(FieldError::with_value(&*path, duplicate, &kind.into(), ""));
        }
        if kind.is_empty() {
            errors.push(FieldError::required(path, ""));
        }
        seen.push(kind);
    }
}
