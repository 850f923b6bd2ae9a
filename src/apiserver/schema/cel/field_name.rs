//! What CEL calls a field: names that its grammar does not allow are escaped (the Kubernetes CEL field name rules).

/// Words that a field name in CEL cannot be.
const RESERVED: [&str; 21] = [
    "true",
    "false",
    "null",
    "in",
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

/// The name of a field in CEL: `namespace` is `__namespace__`, `a-b` is `a__dash__b`.
pub(super) fn escape(name: &str) -> String {
    if RESERVED.contains(&name) {
        return format!("__{name}__");
    }
    name.replace('_', "__")
        .replace('.', "__dot__")
        .replace('-', "__dash__")
        .replace('/', "__slash__")
}

/// The field that a name in CEL means.
pub(super) fn unescape(name: &str) -> String {
    if let Some(word) = name.strip_prefix("__").and_then(|n| n.strip_suffix("__"))
        && RESERVED.contains(&word)
    {
        return word.to_owned();
    }
    let (mut out, mut rest) = (String::new(), name);
    while let Some(at) = rest.find("__") {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let known = [("__dot__", '.'), ("__dash__", '-'), ("__slash__", '/'), ("__", '_')];
        for (escaped, plain) in known {
            if let Some(after) = rest.strip_prefix(escaped) {
                out.push(plain);
                rest = after;
                break;
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_escape() {
        for (plain, escaped) in [
            ("namespace", "__namespace__"),
            ("a-b_c.d/e", "a__dash__b__c__dot__d__slash__e"),
            ("spec", "spec"),
        ] {
            assert_eq!(escape(plain), escaped);
            assert_eq!(unescape(escaped), plain);
        }
    }

    proptest! {
        #![proptest_config(crate::properties::config())]

        #[test]
        fn unescape_never_panics(name in ".{0,30}") {
            let _ = unescape(&name);
        }

        #[test]
        fn plain_names_come_back(name in "[a-z][a-zA-Z./-]{0,20}") {
            prop_assert_eq!(unescape(&escape(&name)), name);
        }
    }
}
