//! JSON bodies: their values, and the keys that are there twice.

use std::{cell::RefCell, fmt};

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Duplicates that are reported at most; more say nothing new.
const MAX_DUPLICATES: usize = 32;

/// A decoded body.
#[derive(Debug, Default)]
pub(super) struct Decoded {
    /// The document.
    pub value: Value,
    /// Keys that are there twice; the last one counts.
    pub duplicates: Vec<Duplicate>,
}

/// A key that is there twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Duplicate {
    /// In JSON: its path.
    At(String),
    /// In YAML: its line, in the words of Go's decoder.
    Line(String),
}

/// Decodes JSON.
///
/// # Errors
/// What is wrong, in the words of Go's decoder.
pub(super) fn decode(body: &[u8]) -> Result<Decoded, String> {
    let found = RefCell::new(Vec::new());
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value = Seed { path: Path::Root, found: &found }
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value))
        .map_err(|error| go_words(&error, body))?;
    Ok(Decoded { value, duplicates: found.into_inner() })
}

/// What Go's decoder says where ours says `error`.
fn go_words(error: &serde_json::Error, body: &[u8]) -> String {
    if error.is_eof() {
        return "unexpected end of JSON input".to_owned();
    }
    let line = body.split(|byte| *byte == b'\n').nth(error.line().saturating_sub(1));
    let at = line.and_then(|line| line.get(error.column().saturating_sub(1)));
    let Some(found) = at.filter(|byte| byte.is_ascii_graphic()) else { return error.to_string() };
    let said = error.to_string();
    let place = [
        ("trailing characters", "after top-level value"),
        ("key must be a string", "looking for beginning of object key string"),
        ("expected `:`", "after object key"),
        ("expected `,` or `}`", "after object key:value pair"),
        ("expected `,` or `]`", "after array element"),
        ("trailing comma", "looking for beginning of value"),
        ("expected value", "looking for beginning of value"),
    ];
    match place.iter().find(|(ours, _)| said.starts_with(ours)) {
        Some((_, place)) => format!("invalid character '{}' {place}", char::from(*found)),
        None => said,
    }
}

/// The paths of all keys of a JSON text, in the order in which they come; duplicates as often as they come.
pub(super) fn keys_in_order(body: &[u8]) -> Vec<String> {
    let found = RefCell::new(Vec::new());
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    // What cannot be read was refused before.
    let _ = Keys { path: Path::Root, found: &found }.deserialize(&mut deserializer);
    found.into_inner()
}

/// Where a value is.
#[derive(Clone, Copy)]
enum Path<'p> {
    Root,
    Key(&'p Path<'p>, &'p str),
    Index(&'p Path<'p>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Root => Ok(()),
            Path::Key(Path::Root, key) => f.write_str(key),
            Path::Key(parent, key) => write!(f, "{parent}.{key}"),
            Path::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

struct Seed<'p> {
    path: Path<'p>,
    found: &'p RefCell<Vec<Duplicate>>,
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E: de::Error>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        loop {
            let path = Path::Index(&self.path, list.len());
            match items.next_element_seed(Seed { path, found: self.found })? {
                Some(item) => list.push(item),
                None => return Ok(Value::Array(list)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let path = Path::Key(&self.path, &key);
            let value = entries.next_value_seed(Seed { path, found: self.found })?;
            if map.contains_key(&key) && self.found.borrow().len() < MAX_DUPLICATES {
                let duplicate = Duplicate::At(path.to_string());
                self.found.borrow_mut().push(duplicate);
            }
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

/// Hears of keys as they come.
struct Keys<'p> {
    path: Path<'p>,
    found: &'p RefCell<Vec<String>>,
}

impl<'de> DeserializeSeed<'de> for Keys<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Keys<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        for index in 0.. {
            let path = Path::Index(&self.path, index);
            if items.next_element_seed(Keys { path, found: self.found })?.is_none() {
                break;
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        while let Some(key) = entries.next_key::<String>()? {
            let path = Path::Key(&self.path, &key);
            let text = path.to_string();
            self.found.borrow_mut().push(text);
            entries.next_value_seed(Keys { path, found: self.found })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::apiserver::testing::any_json;

    #[test]
    fn duplicate_keys_are_found_and_the_last_one_counts() {
        let body = br#"{"a": 1, "spec": {"x": [{"y": 1, "y": 2}], "x": 3}, "a": 2}"#;
        let decoded = decode(body).unwrap();
        assert_eq!(decoded.value, json!({"a": 2, "spec": {"x": 3}}));
        let paths = ["spec.x[0].y", "spec.x", "a"].map(|path| Duplicate::At(path.to_owned()));
        assert_eq!(decoded.duplicates, paths);
    }

    #[test]
    fn keys_come_in_their_order() {
        let body = br#"{"b": {"c": 1, "a": [{"x": 1}]}, "a": 1, "b": null}"#;
        assert_eq!(keys_in_order(body), ["b", "b.c", "b.a", "b.a[0].x", "a", "b"]);
    }

    proptest! {
        #![proptest_config(crate::properties::config())]

        #[test]
        fn json_reads_back(value in any_json()) {
            prop_assert_eq!(decode(value.to_string().as_bytes()).unwrap().value, value);
        }
    }
}
