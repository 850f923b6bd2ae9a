//! Forms of names, in the words of apimachinery's validation. Each function returns what is wrong with a text.

use std::sync::LazyLock;

use regex::Regex;

use crate::apiserver::schema::FieldError;

const LABEL: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const SUBDOMAIN: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
const DNS_1035: &str = "[a-z]([-a-z0-9]*[a-z0-9])?";
const KEY_NAME: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const LABEL_VALUE: &str = "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?";
const CONFIG_KEY: &str = "[-._a-zA-Z0-9]+";

/// A form with its pattern, its description and examples.
struct Form {
    pattern: &'static str,
    text: &'static str,
    examples: &'static [&'static str],
    regex: LazyLock<Option<Regex>>,
}

macro_rules! form {
    ($name:ident, $pattern:expr, $text:expr, $examples:expr) => {
        static $name: Form = Form {
            pattern: $pattern,
            text: $text,
            examples: $examples,
            regex: LazyLock::new(|| Regex::new(&format!("^(?:{})$", $pattern)).ok()),
        };
    };
}

form!(
    LABEL_FORM,
    LABEL,
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end \
     with an alphanumeric character",
    &["my-name", "123-abc"]
);
form!(
    SUBDOMAIN_FORM,
    SUBDOMAIN,
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start \
     and end with an alphanumeric character",
    &["example.com"]
);
form!(
    DNS_1035_FORM,
    DNS_1035,
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, \
     and end with an alphanumeric character",
    &["my-name", "abc-123"]
);
form!(
    KEY_NAME_FORM,
    KEY_NAME,
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
    &["MyName", "my.name", "123-abc"]
);
form!(
    LABEL_VALUE_FORM,
    LABEL_VALUE,
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start \
     and end with an alphanumeric character",
    &["MyValue", "my_value", "12345"]
);
form!(
    CONFIG_KEY_FORM,
    CONFIG_KEY,
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
    &["key.name", "KEY_NAME", "key-name"]
);

impl Form {
    fn accepts(&self, text: &str) -> bool {
        self.regex.as_ref().is_none_or(|regex| regex.is_match(text))
    }

    /// `TEXT (e.g. 'A', or 'B', regex used for validation is 'PATTERN')`.
    fn fault(&self) -> String {
        let examples: Vec<String> = self.examples.iter().map(|e| format!("'{e}', ")).collect();
        // As upstream prints them, with two spaces.
        let examples = examples.join(" or ");
        format!("{} (e.g. {examples}regex used for validation is '{}')", self.text, self.pattern)
    }
}

/// A function that says what is wrong with a text.
pub(super) type Check = fn(&str) -> Vec<String>;

fn too_long(text: &str, max: usize) -> Option<String> {
    (text.len() > max).then(|| format!("must be no more than {max} bytes"))
}

fn too_long_name(text: &str, max: usize) -> Option<String> {
    (text.len() > max).then(|| format!("must be no more than {max} characters"))
}

/// Adds an `Invalid value` for each fault.
pub(super) fn all(faults: Vec<String>, path: &str, value: &str, errors: &mut Vec<FieldError>) {
    errors.extend(faults.iter().map(|fault| FieldError::invalid(path, &value.into(), fault)));
}

/// RFC 1123 label: names of namespaces and services.
pub(super) fn dns_label(text: &str) -> Vec<String> {
    let mut faults: Vec<String> = too_long_name(text, 63).into_iter().collect();
    if !LABEL_FORM.accepts(text) {
        let dots = SUBDOMAIN_FORM.accepts(text);
        faults.push(if dots { "must not contain dots".to_owned() } else { LABEL_FORM.fault() });
    }
    faults
}

/// RFC 1123 subdomain: names of most objects.
pub(super) fn dns_subdomain(text: &str) -> Vec<String> {
    let mut faults: Vec<String> = too_long_name(text, 253).into_iter().collect();
    if !SUBDOMAIN_FORM.accepts(text) {
        faults.push(SUBDOMAIN_FORM.fault());
    }
    faults
}

/// RFC 1035 label: names in CustomResourceDefinitions.
pub(super) fn dns_1035_label(text: &str) -> Vec<String> {
    let mut faults: Vec<String> = too_long(text, 63).into_iter().collect();
    if !DNS_1035_FORM.accepts(text) {
        faults.push(DNS_1035_FORM.fault());
    }
    faults
}

/// What is safe in a path: names of RBAC objects.
pub(super) fn path_segment(text: &str) -> Vec<String> {
    if matches!(text, "." | "..") {
        return vec![format!("may not be '{text}'")];
    }
    let parts = ['/', '%'].into_iter().filter(|part| text.contains(*part));
    parts.map(|part| format!("may not contain '{part}'")).collect()
}

/// Keys of labels and annotations, names of finalizers: `example.com/name`.
pub(super) fn qualified_name(text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let mut parts = text.split('/');
    let (first, second) = (parts.next().unwrap_or_default(), parts.next());
    if parts.next().is_some() {
        return vec![format!(
            "a valid label key {} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",
            KEY_NAME_FORM.fault()
        )];
    }
    let name = match second {
        None => first,
        Some(name) => {
            if first.is_empty() {
                faults.push("prefix part must be non-empty".to_owned());
            } else {
                faults.extend(dns_subdomain(first).iter().map(|f| format!("prefix part {f}")));
            }
            name
        }
    };
    if name.is_empty() {
        faults.push("name part must be non-empty".to_owned());
    } else if let Some(fault) = too_long(name, 63) {
        faults.push(format!("name part {fault}"));
    }
    if !KEY_NAME_FORM.accepts(name) {
        faults.push(format!("name part {}", KEY_NAME_FORM.fault()));
    }
    faults
}

/// Values of labels.
pub(super) fn label_value(text: &str) -> Vec<String> {
    let mut faults: Vec<String> = too_long(text, 63).into_iter().collect();
    if !LABEL_VALUE_FORM.accepts(text) {
        faults.push(LABEL_VALUE_FORM.fault());
    }
    faults
}

/// Keys of ConfigMaps and Secrets.
pub(super) fn config_key(text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if text.len() > 253 {
        faults.push("must be no more than 253 characters".to_owned());
    }
    if !CONFIG_KEY_FORM.accepts(text) {
        faults.push(CONFIG_KEY_FORM.fault());
    }
    if matches!(text, "." | "..") {
        faults.push(format!("must not be '{text}'"));
    } else if text.starts_with("..") {
        faults.push("must not start with '..'".to_owned());
    }
    faults
}

/// Names of ports.
pub(super) fn port_name(text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if text.len() > 15 {
        faults.push("must be no more than 15 characters".to_owned());
    }
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !text.chars().all(allowed) || text.is_empty() {
        faults.push(
            "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)".to_owned(),
        );
    }
    if !text.contains(|c: char| c.is_ascii_lowercase()) {
        faults.push("must contain at least one letter (a-z)".to_owned());
    }
    if text.contains("--") {
        faults.push("must not contain consecutive hyphens".to_owned());
    }
    if text.starts_with('-') || text.ends_with('-') {
        faults.push("must not begin or end with a hyphen".to_owned());
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_judged() {
        let long = "a".repeat(64);
        let table: &[(&str, Check, &str, &[&str])] = &[
            ("label", dns_label, "a-1", &[]),
            ("label", dns_label, "a.b", &["must not contain dots"]),
            (
                "label",
                dns_label,
                "A",
                &[
                    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
                ],
            ),
            ("label", dns_label, &long, &["must be no more than 63 characters"]),
            ("subdomain", dns_subdomain, "a.b-c.d", &[]),
            (
                "subdomain",
                dns_subdomain,
                "a_b",
                &[
                    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
                ],
            ),
            ("path", path_segment, "system:node", &[]),
            ("path", path_segment, "..", &["may not be '..'"]),
            ("path", path_segment, "a/b%c", &["may not contain '/'", "may not contain '%'"]),
            ("key", qualified_name, "example.com/a_B.c", &[]),
            ("key", qualified_name, "/a", &["prefix part must be non-empty"]),
            (
                "key",
                qualified_name,
                "",
                &[
                    "name part must be non-empty",
                    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
                ],
            ),
            ("value", label_value, "", &[]),
            (
                "value",
                label_value,
                "a b",
                &[
                    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
                ],
            ),
            ("config", config_key, "..a", &["must not start with '..'"]),
            (
                "config",
                config_key,
                "a/b",
                &[
                    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
                ],
            ),
            ("port", port_name, "http-2", &[]),
            (
                "port",
                port_name,
                "8--0",
                &["must contain at least one letter (a-z)", "must not contain consecutive hyphens"],
            ),
        ];
        for (what, check, text, faults) in table {
            assert_eq!(check(text), *faults, "{what} {text:?}");
        }
        assert_eq!(qualified_name("a/b/c").len(), 1);
    }
}
