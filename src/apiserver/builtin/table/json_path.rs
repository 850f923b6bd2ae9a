//! The JSONPath of printer columns, scale paths and selectable fields.
//!
//! The language is the part of `client-go/util/jsonpath` that kube-apiserver lets CustomResourceDefinitions use: fields
//! with or without quotes, indexes, slices, wildcards, recursive descent and filters that compare.

use std::cmp::Ordering;

use serde_json::Value;

/// How many steps a path may have; longer ones do not come from people.
const MAX_STEPS: usize = 64;
/// How many values a path may find: repeated descents would multiply them without end.
const MAX_FOUND: usize = 4096;

/// A parsed path such as `.status.conditions[?(@.type=="Ready")].status`.
#[derive(Debug, Clone, PartialEq)]
pub struct JsonPath {
    steps: Vec<Step>,
}

/// Why a text is no path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} at byte {at} of JSON path {path:?}")]
pub struct JsonPathError {
    /// What is wrong.
    pub message: &'static str,
    /// Where, in bytes from the start.
    pub at: usize,
    /// The whole text.
    pub path: String,
}

#[derive(Debug, Clone, PartialEq)]
enum Step {
    Field(String),
    Index(i64),
    Slice { from: Option<i64>, to: Option<i64>, by: i64 },
    Wildcard,
    Descend,
    Filter(Filter),
}

#[derive(Debug, Clone, PartialEq)]
struct Filter {
    left: Operand,
    /// `None` asks whether the left side is there.
    compare: Option<(Operator, Operand)>,
}

#[derive(Debug, Clone, PartialEq)]
enum Operand {
    Path(Vec<Step>),
    Literal(Value),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl JsonPath {
    /// Parses a path, with or without the outer braces and the leading dot.
    ///
    /// # Errors
    /// [`JsonPathError`] when the text is no path of this language.
    pub fn parse(text: &str) -> Result<JsonPath, JsonPathError> {
        let inner = text.strip_prefix('{').and_then(|t| t.strip_suffix('}')).unwrap_or(text);
        let mut parser = Parser { text: inner, at: 0 };
        let parsed = parser.steps(false).and_then(|steps| {
            if parser.at < inner.len() { Err("unexpected character") } else { Ok(steps) }
        });
        match parsed {
            Ok(steps) => Ok(JsonPath { steps }),
            Err(message) => Err(JsonPathError { message, at: parser.at, path: text.to_owned() }),
        }
    }

    /// What the path finds, in document order.
    #[must_use]
    pub fn find<'v>(&self, value: &'v Value) -> Vec<&'v Value> {
        walk(&self.steps, value)
    }

    /// The first thing that the path finds.
    #[must_use]
    pub fn first<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        // The common path is fields only and needs no list.
        let mut at = value;
        for step in &self.steps {
            match step {
                Step::Field(name) => at = at.get(name)?,
                _ => return self.find(value).first().copied(),
            }
        }
        Some(at)
    }

    /// The names, when the path is nothing but fields: `spec.replicas` of `.spec.replicas`.
    #[must_use]
    pub fn fields(&self) -> Option<Vec<&str>> {
        self.steps
            .iter()
            .map(|step| match step {
                Step::Field(name) => Some(name.as_str()),
                _ => None,
            })
            .collect()
    }
}

fn walk<'v>(steps: &[Step], value: &'v Value) -> Vec<&'v Value> {
    let mut found = vec![value];
    for step in steps {
        found = found.into_iter().flat_map(|at| take(step, at)).take(MAX_FOUND).collect();
    }
    found
}

fn take<'v>(step: &Step, at: &'v Value) -> Vec<&'v Value> {
    match step {
        Step::Field(name) => at.get(name).into_iter().collect(),
        Step::Index(index) => {
            let list = at.as_array().map(Vec::as_slice).unwrap_or_default();
            position(*index, list.len()).and_then(|i| list.get(i)).into_iter().collect()
        }
        Step::Slice { from, to, by } => {
            let list = at.as_array().map(Vec::as_slice).unwrap_or_default();
            let bound = |index: Option<i64>, absent| match index {
                None => absent,
                Some(i) => position(i, list.len()).unwrap_or(if i < 0 { 0 } else { list.len() }),
            };
            let (from, to) = (bound(*from, 0), bound(*to, list.len()).min(list.len()));
            let by = usize::try_from(*by).unwrap_or(1).max(1);
            list.get(from..to.max(from)).unwrap_or_default().iter().step_by(by).collect()
        }
        Step::Wildcard => children(at),
        Step::Descend => {
            let mut all = Vec::new();
            descend(at, &mut all);
            all
        }
        Step::Filter(filter) => match at {
            Value::Array(list) => list.iter().filter(|item| filter.accepts(item)).collect(),
            _ => Vec::new(),
        },
    }
}

fn position(index: i64, length: usize) -> Option<usize> {
    let length = i64::try_from(length).ok()?;
    let index = if index < 0 { index.checked_add(length)? } else { index };
    (0..length).contains(&index).then(|| usize::try_from(index).ok())?
}

fn children(at: &Value) -> Vec<&Value> {
    match at {
        Value::Array(list) => list.iter().collect(),
        Value::Object(map) => map.values().collect(),
        _ => Vec::new(),
    }
}

fn descend<'v>(at: &'v Value, into: &mut Vec<&'v Value>) {
    into.push(at);
    for child in children(at) {
        descend(child, into);
    }
}

impl Filter {
    fn accepts(&self, item: &Value) -> bool {
        let left = self.left.value(item);
        match &self.compare {
            None => left.is_some_and(|v| !v.is_null()),
            Some((operator, right)) => match (left, right.value(item)) {
                (Some(left), Some(right)) => operator.holds(&left, &right),
                _ => false,
            },
        }
    }
}

impl Operand {
    fn value(&self, item: &Value) -> Option<Value> {
        match self {
            Operand::Path(steps) => walk(steps, item).first().map(|v| (*v).clone()),
            Operand::Literal(value) => Some(value.clone()),
        }
    }
}

impl Operator {
    fn holds(self, left: &Value, right: &Value) -> bool {
        let order = match (left, right) {
            (Value::Number(a), Value::Number(b)) => {
                a.as_f64().zip(b.as_f64()).and_then(|(a, b)| a.partial_cmp(&b))
            }
            (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
            (a, b) if a == b => Some(Ordering::Equal),
            _ => None,
        };
        match self {
            Self::Equal => order == Some(Ordering::Equal),
            Self::NotEqual => order != Some(Ordering::Equal),
            Self::Less => order == Some(Ordering::Less),
            Self::LessOrEqual => matches!(order, Some(Ordering::Less | Ordering::Equal)),
            Self::Greater => order == Some(Ordering::Greater),
            Self::GreaterOrEqual => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
        }
    }
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
}

type Parsed<T> = Result<T, &'static str>;

impl Parser<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn eat(&mut self, token: &str) -> bool {
        let there = self.rest().starts_with(token);
        if there {
            self.at += token.len();
        }
        there
    }

    fn spaces(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    /// Steps up to the end, or inside a filter up to what cannot belong to a path.
    fn steps(&mut self, in_filter: bool) -> Parsed<Vec<Step>> {
        let mut steps = Vec::new();
        loop {
            if steps.len() > MAX_STEPS {
                return Err("too many steps");
            }
            if self.eat("..") {
                steps.push(Step::Descend);
                if !self.rest().starts_with('[') {
                    steps.push(self.name()?);
                }
            } else if self.eat("[") {
                steps.extend(self.bracket(in_filter)?);
            } else if self.eat(".") {
                if self.rest().is_empty() && steps.is_empty() {
                    return Ok(steps);
                }
                if !self.rest().starts_with('[') {
                    steps.push(self.name()?);
                }
            } else if steps.is_empty() && !in_filter && !self.rest().is_empty() {
                steps.push(self.name()?);
            } else {
                return Ok(steps);
            }
        }
    }

    /// A bare field name, in which a backslash takes the next character as it is.
    fn name(&mut self) -> Parsed<Step> {
        if self.eat("*") {
            return Ok(Step::Wildcard);
        }
        let mut name = String::new();
        let mut chars = self.rest().char_indices();
        let mut length = self.rest().len();
        while let Some((i, c)) = chars.next() {
            match c {
                '\\' => name.extend(chars.next().map(|(_, c)| c)),
                '.' | '[' | ']' | ' ' | '=' | '!' | '<' | '>' | '(' | ')' | '{' | '}' | ',' => {
                    length = i;
                    break;
                }
                c => name.push(c),
            }
        }
        self.at += length;
        if name.is_empty() { Err("a field name is missing") } else { Ok(Step::Field(name)) }
    }

    fn bracket(&mut self, in_filter: bool) -> Parsed<Vec<Step>> {
        self.spaces();
        let step = if self.eat("?(") {
            if in_filter {
                return Err("a filter within a filter");
            }
            let filter = self.filter()?;
            Step::Filter(filter)
        } else if self.eat("*") {
            Step::Wildcard
        } else if let Some(steps) = self.quoted_fields()? {
            self.spaces();
            return if self.eat("]") { Ok(steps) } else { Err("`]` is missing") };
        } else {
            self.index()?
        };
        self.spaces();
        if self.eat("]") { Ok(vec![step]) } else { Err("`]` is missing") }
    }

    /// A quoted field in brackets. Upstream reads it as a path of its own, in which only a backslash makes a dot part of
    /// a name.
    fn quoted_fields(&mut self) -> Parsed<Option<Vec<Step>>> {
        let rest = self.rest();
        let Some(quote @ ('"' | '\'')) = rest.chars().next() else { return Ok(None) };
        let (text, _) = rest[1..].split_once(quote).ok_or("a quotation does not end")?;
        let path = format!(".{text}");
        let mut parser = Parser { text: &path, at: 0 };
        let steps = parser.steps(false)?;
        if !parser.rest().is_empty() {
            return Err("not a field name");
        }
        self.at += text.len() + 2;
        Ok(Some(steps))
    }

    fn index(&mut self) -> Parsed<Step> {
        let from = self.number()?;
        if !self.eat(":") {
            return from.map(Step::Index).ok_or("an index, name or filter is missing");
        }
        let to = self.number()?;
        let by = if self.eat(":") { self.number()?.unwrap_or(1) } else { 1 };
        if by < 1 { Err("a step must be positive") } else { Ok(Step::Slice { from, to, by }) }
    }

    fn number(&mut self) -> Parsed<Option<i64>> {
        let rest = self.rest();
        let digits = rest.strip_prefix('-').unwrap_or(rest);
        let length = rest.len() - digits.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let text = rest.get(..length).unwrap_or_default();
        if text.is_empty() {
            return Ok(None);
        }
        let number = text.parse().map_err(|_| "not a whole number")?;
        self.at += length;
        Ok(Some(number))
    }

    fn quoted(&mut self) -> Parsed<Option<String>> {
        let Some(quote @ ('"' | '\'')) = self.rest().chars().next() else { return Ok(None) };
        let mut text = String::new();
        let mut chars = self.rest().char_indices().skip(1);
        while let Some((i, c)) = chars.next() {
            match c {
                '\\' => text.extend(chars.next().map(|(_, c)| c)),
                c if c == quote => {
                    self.at += i + 1;
                    return Ok(Some(text));
                }
                c => text.push(c),
            }
        }
        Err("a quotation does not end")
    }

    fn filter(&mut self) -> Parsed<Filter> {
        let left = self.operand()?;
        self.spaces();
        let operators = [
            ("==", Operator::Equal),
            ("!=", Operator::NotEqual),
            ("<=", Operator::LessOrEqual),
            (">=", Operator::GreaterOrEqual),
            ("<", Operator::Less),
            (">", Operator::Greater),
        ];
        let operator = operators.into_iter().find(|(token, _)| self.eat(token)).map(|(_, o)| o);
        let compare = match operator {
            None => None,
            Some(operator) => {
                let right = self.operand()?;
                self.spaces();
                Some((operator, right))
            }
        };
        if self.eat(")") { Ok(Filter { left, compare }) } else { Err("`)` is missing") }
    }

    fn operand(&mut self) -> Parsed<Operand> {
        self.spaces();
        if self.eat("@") {
            return self.steps(true).map(Operand::Path);
        }
        if let Some(text) = self.quoted()? {
            return Ok(Operand::Literal(text.into()));
        }
        let rest = self.rest();
        let length = rest.find([')', ' ', '=', '!', '<', '>']).unwrap_or(rest.len());
        let value = rest.get(..length).and_then(|word| serde_json::from_str(word).ok());
        self.at += length;
        value.map(Operand::Literal).ok_or("a value is missing")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::apiserver::testing::any_json;

    #[test]
    fn paths_find() {
        let object = json!({
            "metadata": {"labels": {"a.b/c": "dotted"}, "name": "n"},
            "spec": {"replicas": 3, "list": ["a", "b", "c"], "flag": false},
            "status": {"conditions": [
                {"type": "Ready", "status": "True", "n": 1},
                {"type": "Synced", "status": "False", "n": 2},
            ]},
        });
        let table = [
            (".metadata.name", json!(["n"])),
            ("metadata.name", json!(["n"])),
            ("{.metadata.name}", json!(["n"])),
            (".spec.none", json!([])),
            (".spec.none.below", json!([])),
            (".spec.list[0]", json!(["a"])),
            (".spec.list[-1]", json!(["c"])),
            (".spec.list[7]", json!([])),
            (".spec.list[1:]", json!(["b", "c"])),
            (".spec.list[0:2]", json!(["a", "b"])),
            (".spec.list[*]", json!(["a", "b", "c"])),
            (".spec.list[::2]", json!(["a", "c"])),
            (r".metadata.labels.a\.b/c", json!(["dotted"])),
            (".metadata.labels['a.b/c']", json!([])),
            (r".metadata.labels['a\.b/c']", json!(["dotted"])),
            (".metadata['name']", json!(["n"])),
            (r#".status.conditions[?(@.type=="Ready")].status"#, json!(["True"])),
            (".status.conditions[?(@.type=='Synced')].status", json!(["False"])),
            (".status.conditions[?(@.type == 'Synced')].status", json!(["False"])),
            (".status.conditions[?(@.type!='Synced')].type", json!(["Ready"])),
            (".status.conditions[?(@.n>1)].type", json!(["Synced"])),
            (".status.conditions[?(@.n<=1)].type", json!(["Ready"])),
            (".status.conditions[?(@.missing)].type", json!([])),
            (".status.conditions[*].type", json!(["Ready", "Synced"])),
            ("..type", json!(["Ready", "Synced"])),
            (".spec.flag", json!([false])),
        ];
        for (path, found) in table {
            let parsed = JsonPath::parse(path).unwrap();
            assert_eq!(json!(parsed.find(&object)), found, "{path}");
            assert_eq!(parsed.first(&object), found.get(0), "{path}");
        }
    }

    #[test]
    fn what_is_no_path_is_refused() {
        let table = [
            ".spec.",
            ".spec[",
            ".spec[0",
            ".spec['a]",
            ".spec[?(@.a==)]",
            ".spec[?(@.a=='b']",
            ".spec[?(@.a[?(@.b)])]",
            ".spec]",
            ".a b",
            ".spec[99999999999999999999]",
            ".a[::0]",
        ];
        for path in table {
            assert!(JsonPath::parse(path).is_err(), "{path}");
        }
    }

    proptest! {
        #![proptest_config(crate::properties::config())]

        #[test]
        fn any_text_parses_or_not(text in r#"[.\[\]'"a-c0-9?(@=!<>*:{} \\)-]{0,24}"#, value in any_json()) {
            if let Ok(path) = JsonPath::parse(&text) {
                prop_assert_eq!(path.find(&value).first().copied(), path.first(&value));
            }
        }
    }
}
