//! Field selectors: `metadata.name=a,status.phase!=Running`.

use serde_json::Value;

use super::SelectorError;

/// A field selector: `path=value` and `path!=value` terms that all must hold. Empty selects everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldSelector {
    terms: Vec<Term>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Term {
    path: String,
    equal: bool,
    value: String,
}

impl FieldSelector {
    /// Parses `metadata.name=a,spec.x!=b`. In values `\,`, `\=` and `\\` stand for the characters themselves.
    ///
    /// # Errors
    /// [`SelectorError`] in the words of kube-apiserver.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        let refuse = |part: &str| {
            SelectorError(format!("invalid selector: '{text}'; can't understand '{part}'"))
        };
        let mut terms = Vec::new();
        for part in split(text) {
            if part.is_empty() {
                continue;
            }
            let (path, equal, value) = operator(part).ok_or_else(|| refuse(part))?;
            let value = unescape(value).ok_or_else(|| refuse(part))?;
            terms.push(Term { path: path.to_owned(), equal, value });
        }
        Ok(Self { terms })
    }

    /// The paths that the selector names; the caller refuses those that its kind does not select by.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.terms.iter().map(|t| t.path.as_str())
    }

    /// The value that `path` must have, when the selector asks for exactly one: a list for `metadata.name=a` is a get.
    #[must_use]
    pub fn required(&self, path: &str) -> Option<&str> {
        self.terms.iter().find(|t| t.equal && t.path == path).map(|t| t.value.as_str())
    }

    /// Whether the selector selects everything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Whether the fields of `object` have the values asked for. An absent field is the empty text.
    #[must_use]
    pub fn matches(&self, object: &Value) -> bool {
        self.terms.iter().all(|term| {
            let found = term.path.split('.').try_fold(object, |at, name| at.get(name));
            let is_equal = match found {
                None | Some(Value::Null) => term.value.is_empty(),
                Some(Value::String(text)) => *text == term.value,
                Some(Value::Bool(b)) => b.to_string() == term.value,
                Some(Value::Number(n)) => n.to_string() == term.value,
                Some(Value::Array(_) | Value::Object(_)) => false,
            };
            is_equal == term.equal
        })
    }
}

/// Splits at commas that are not escaped.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut escaped) = (Vec::new(), 0, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ',' => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

/// Path, whether equality is asked for, and value, split at the first operator.
fn operator(part: &str) -> Option<(&str, bool, &str)> {
    for (at, _) in part.char_indices() {
        for (sign, equal) in [("!=", false), ("==", true), ("=", true)] {
            if let Some(value) = part[at..].strip_prefix(sign) {
                return Some((&part[..at], equal, value));
            }
        }
    }
    None
}

fn unescape(value: &str) -> Option<String> {
    let (mut out, mut chars) = (String::new(), value.chars());
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(escaped @ ('\\' | ',' | '=')) => out.push(escaped),
                _ => return None,
            },
            ',' | '=' => return None,
            plain => out.push(plain),
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn selectors_select() {
        let object =
            json!({"metadata": {"name": "a,b"}, "spec": {"on": true, "n": 3}, "status": {}});
        for (selector, selected) in [
            ("", true),
            ("metadata.name=a\\,b", true),
            ("metadata.name!=x", true),
            ("metadata.name==x", false),
            ("spec.on=true,spec.n=3", true),
            ("status.phase=", true),
            ("status.phase!=Running", true),
            ("status=x", false),
        ] {
            let parsed = FieldSelector::parse(selector).unwrap();
            assert_eq!(parsed.matches(&object), selected, "{selector}");
        }
        let parsed = FieldSelector::parse("metadata.name=x,spec.a!=y").unwrap();
        assert_eq!(parsed.paths().collect::<Vec<_>>(), ["metadata.name", "spec.a"]);
        assert_eq!(
            (parsed.required("metadata.name"), parsed.required("spec.a")),
            (Some("x"), None)
        );
    }

    #[test]
    fn what_is_no_selector_is_refused() {
        for (selector, part) in [("a", "a"), ("a=b,c", "c"), ("a=b=c", "a=b=c"), ("a=\\x", "a=\\x")]
        {
            assert_eq!(
                FieldSelector::parse(selector).unwrap_err().0,
                format!("invalid selector: '{selector}'; can't understand '{part}'")
            );
        }
    }

    proptest! {
        #![proptest_config(crate::properties::config())]

        #[test]
        fn any_text_parses_or_not(text in "[ab.=!,\\\\\u{e9}]{0,24}") {
            if let Ok(selector) = FieldSelector::parse(&text) {
                let _ = selector.matches(&json!({"a": {"b": "x"}}));
            }
        }
    }
}
