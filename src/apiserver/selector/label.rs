//! Label selectors: `app=web,tier in (a,b),!canary`.

use std::{iter::Peekable, str::CharIndices};

use serde_json::Value;

use super::SelectorError;

/// A label selector: requirements that all must hold. Empty selects everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LabelSelector {
    requirements: Vec<Requirement>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Requirement {
    key: String,
    test: Test,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    Exists,
    Absent,
    /// One of these. `a=b` is one.
    In(Vec<String>),
    /// Absent, or none of these.
    NotIn(Vec<String>),
    GreaterThan(i64),
    LessThan(i64),
}

impl LabelSelector {
    /// Parses `a=b,c!=d,e in (f,g),h notin (i),j,!k,l>1`.
    ///
    /// # Errors
    /// [`SelectorError`], in kube-apiserver's words.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        let mut parser = Parser { text, chars: text.char_indices().peekable() };
        let mut requirements = Vec::new();
        loop {
            match parser.peek() {
                Token::End if requirements.is_empty() => break,
                Token::Word(_) | Token::Sign("!") => requirements.push(parser.requirement()?),
                other => return Err(out_of_place(&other, "!, identifier, or 'end of string'")),
            }
            match parser.next() {
                Token::End => break,
                Token::Sign(",") => {}
                other => return Err(out_of_place(&other, "',' or 'end of string'")),
            }
        }
        Ok(Self { requirements })
    }

    /// Whether `object`'s `metadata.labels` fulfil the selector.
    #[must_use]
    pub fn matches(&self, object: &Value) -> bool {
        let labels = object.pointer("/metadata/labels").and_then(Value::as_object);
        self.matches_labels(|key| labels?.get(key)?.as_str())
    }

    /// Whether labels fulfil the selector; `get` answers the value of a label.
    #[must_use]
    pub fn matches_labels<'l>(&self, get: impl Fn(&str) -> Option<&'l str>) -> bool {
        self.requirements.iter().all(|r| r.holds(get(&r.key)))
    }

    /// Whether the selector selects everything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }
}

impl Requirement {
    fn holds(&self, value: Option<&str>) -> bool {
        let among = |values: &[String]| value.is_some_and(|v| values.iter().any(|x| x == v));
        let number = || value.and_then(|v| v.parse::<i64>().ok());
        match &self.test {
            Test::Exists => value.is_some(),
            Test::Absent => value.is_none(),
            Test::In(values) => among(values),
            Test::NotIn(values) => !among(values),
            Test::GreaterThan(bound) => number().is_some_and(|n| n > *bound),
            Test::LessThan(bound) => number().is_some_and(|n| n < *bound),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'t> {
    Word(&'t str),
    Sign(&'static str),
    End,
}

impl Token<'_> {
    fn text(&self) -> &str {
        match self {
            Token::Word(word) => word,
            Token::Sign(sign) => sign,
            Token::End => "",
        }
    }
}

#[derive(Clone)]
struct Parser<'t> {
    text: &'t str,
    chars: Peekable<CharIndices<'t>>,
}

impl<'t> Parser<'t> {
    fn peek(&self) -> Token<'t> {
        self.clone().next()
    }

    fn next(&mut self) -> Token<'t> {
        const SIGNS: [&str; 9] = ["==", "!=", "=", "!", "(", ")", ",", "<", ">"];
        while self.chars.next_if(|(_, c)| c.is_whitespace()).is_some() {}
        let Some(&(start, _)) = self.chars.peek() else { return Token::End };
        let rest = &self.text[start..];
        if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            // Signs are ASCII, so bytes are characters.
            for _ in 0..sign.len() {
                self.chars.next();
            }
            return Token::Sign(sign);
        }
        let ends = |c: char| c.is_whitespace() || "=!(),<>".contains(c);
        while self.chars.next_if(|(_, c)| !ends(*c)).is_some() {}
        let end = self.chars.peek().map_or(self.text.len(), |(at, _)| *at);
        Token::Word(&self.text[start..end])
    }

    fn requirement(&mut self) -> Result<Requirement, SelectorError> {
        let negated = self.peek() == Token::Sign("!");
        if negated {
            self.next();
        }
        let key = match self.next() {
            Token::Word(word) => valid_key(word)?,
            other => return Err(expected(&other, "identifier")),
        };
        if negated {
            return Ok(Requirement { key, test: Test::Absent });
        }
        if matches!(self.peek(), Token::End | Token::Sign(",")) {
            return Ok(Requirement { key, test: Test::Exists });
        }
        let test = match self.next() {
            Token::Sign("=" | "==") => Test::In(vec![self.value()?]),
            Token::Sign("!=") => Test::NotIn(vec![self.value()?]),
            Token::Sign(">") => Test::GreaterThan(self.bound()?),
            Token::Sign("<") => Test::LessThan(self.bound()?),
            Token::Word("in") => Test::In(self.values()?),
            Token::Word("notin") => Test::NotIn(self.values()?),
            other => return Err(expected(&other, "in, notin, =, ==, !=, gt, lt")),
        };
        Ok(Requirement { key, test })
    }

    /// One value, which may be empty.
    fn value(&mut self) -> Result<String, SelectorError> {
        match self.peek() {
            Token::End | Token::Sign(",") => Ok(String::new()),
            Token::Word(word) => {
                self.next();
                valid_value(word)
            }
            other => Err(expected(&other, "identifier")),
        }
    }

    fn bound(&mut self) -> Result<i64, SelectorError> {
        let value = self.value()?;
        value.parse().map_err(|_| {
            refused(format!(
                "values[0]: Invalid value: \"{value}\": for 'Gt', 'Lt' operators, the value must be an integer"
            ))
        })
    }

    /// `(a, b)`. Empty values between commas are allowed.
    fn values(&mut self) -> Result<Vec<String>, SelectorError> {
        match self.next() {
            Token::Sign("(") => {}
            other => return Err(refused(format!("found '{}' expected: '('", other.text()))),
        }
        let mut values = Vec::new();
        let mut wanted = true;
        loop {
            match self.next() {
                Token::Word(word) if wanted => {
                    values.push(valid_value(word)?);
                    wanted = false;
                }
                Token::Sign(",") => {
                    if wanted {
                        values.push(String::new());
                    }
                    wanted = true;
                }
                Token::Sign(")") => {
                    if wanted {
                        values.push(String::new());
                    }
                    return Ok(values);
                }
                other => return Err(expected(&other, "',', or ')'")),
            }
        }
    }
}

/// A label key: a name of up to 63 characters, perhaps with a DNS prefix of up to 253.
fn valid_key(key: &str) -> Result<String, SelectorError> {
    let (prefix, name) = key.rsplit_once('/').map_or((None, key), |(p, n)| (Some(p), n));
    let prefix_fits = prefix.is_none_or(|p| {
        !p.is_empty()
            && p.len() <= 253
            && p.split('.').all(|label| is_name(label) && !label.contains(['_', '.']))
            && !p.contains(char::is_uppercase)
    });
    if name.len() <= 63 && is_name(name) && prefix_fits {
        return Ok(key.to_owned());
    }
    Err(refused(format!(
        "key: Invalid value: \"{key}\": name part must consist of alphanumeric characters, '-', '_' or '.', and must \
         start and end with an alphanumeric character"
    )))
}

fn valid_value(value: &str) -> Result<String, SelectorError> {
    if value.len() <= 63 && is_name(value) {
        return Ok(value.to_owned());
    }
    Err(refused(format!(
        "values[0]: Invalid value: \"{value}\": a valid label must be an empty string or consist of alphanumeric \
         characters, '-', '_' or '.', and must start and end with an alphanumeric character"
    )))
}

fn is_name(text: &str) -> bool {
    let edge = |c: Option<u8>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    edge(text.bytes().next())
        && edge(text.bytes().last())
        && text.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_.".contains(&c))
}

fn expected(found: &Token<'_>, what: &str) -> SelectorError {
    refused(format!("found '{}', expected: {what}", found.text()))
}

/// Between requirements, kube-apiserver says nothing of them.
fn out_of_place(found: &Token<'_>, what: &str) -> SelectorError {
    SelectorError(format!("found '{}', expected: {what}", found.text()))
}

fn refused(text: String) -> SelectorError {
    SelectorError(format!("unable to parse requirement: {text}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn selects(selector: &str, labels: Value) -> bool {
        LabelSelector::parse(selector).unwrap().matches(&json!({"metadata": {"labels": labels}}))
    }

    #[test]
    fn selectors_select() {
        let labels = json!({"app": "web", "tier": "a", "n": "5", "empty": ""});
        for (selector, selected) in [
            ("", true),
            ("app", true),
            ("!app", false),
            ("app=web", true),
            ("app==web", true),
            ("app = web , tier=a", true),
            ("app!=web", false),
            ("none!=x", true),
            ("tier in (a,b)", true),
            ("tier in (b)", false),
            ("tier notin (b, c)", true),
            ("none notin (b)", true),
            ("none in (b)", false),
            ("n>4", true),
            ("n>5", false),
            ("n<6", true),
            ("app>1", false),
            ("empty=", true),
            ("empty in (a,)", true),
            ("app=web,!none,n", true),
            ("example.com/in=x", false),
            ("in=x", false),
        ] {
            assert_eq!(selects(selector, labels.clone()), selected, "{selector}");
        }
        assert!(!LabelSelector::parse("a").unwrap().matches(&json!({})));
    }

    #[test]
    fn what_is_no_selector_is_refused() {
        for selector in [
            ",", "a,", "a=b=c", "a in b", "a in (b", "a b", "=a", "a>x", "-a", "a=-b", "a!", "(a)",
            "/a", "é",
        ] {
            let error = LabelSelector::parse(selector).expect_err(selector);
            let starts = ["unable to parse requirement: ", "found '"];
            assert!(starts.iter().any(|start| error.0.starts_with(start)), "{error}");
        }
    }

    proptest! {
        #![proptest_config(crate::properties::config())]

        #[test]
        fn any_text_parses_or_not(text in "[a-c=!(),<> ins\u{e9}]{0,24}") {
            if let Ok(selector) = LabelSelector::parse(&text) {
                let _ = selector.matches(&json!({"metadata": {"labels": {"a": "b"}}}));
            }
        }
    }
}
