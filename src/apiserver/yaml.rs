//! YAML bodies, of which JSON is a part: their values, and the lines of keys that are there twice.

use std::{collections::BTreeSet, fmt};

use serde::{
    Deserialize,
    de::{self, Deserializer, MapAccess, SeqAccess, Visitor},
};
use serde_yaml::{DuplicateKeyPolicy, Options, Spanned};

use super::json::{self, Decoded, Duplicate};

/// Keys that are reported at most; more say nothing new.
const MAX_DUPLICATES: usize = 32;

/// Decodes YAML.
///
/// # Errors
/// What is wrong, and where.
pub(super) fn decode(body: &[u8]) -> Result<Decoded, String> {
    // The place is said; the lines around it are the client's to find.
    let first = |text: &str| text.lines().next().unwrap_or_default().to_owned();
    let refuse = |why: String| format!("yaml: {}", first(why.trim_start_matches("error: ")));
    let json = json::decode(body).ok();
    if let Some(decoded) = json.filter(|decoded| decoded.duplicates.is_empty()) {
        return Ok(decoded);
    }
    let text = std::str::from_utf8(body).map_err(|error| refuse(error.to_string()))?;
    let value = serde_yaml::from_str_with_options(text, options());
    let value = value.map_err(|error| refuse(error.to_string()))?;
    Ok(Decoded { value, duplicates: repeated(text) })
}

/// The last of several equal keys counts.
fn options() -> Options {
    serde_yaml::options! { duplicate_keys: DuplicateKeyPolicy::PassThrough }
}

/// The keys of a text that are there twice, in their order.
fn repeated(text: &str) -> Vec<Duplicate> {
    // What cannot be read was refused before.
    let node: Option<Node> = serde_yaml::from_str_with_options(text, options()).ok();
    let mut found = node.map(|node| node.0).unwrap_or_default();
    found.sort_unstable();
    found.truncate(MAX_DUPLICATES);
    let words =
        |(line, key): (u64, String)| format!("line {line}: key \"{key}\" already set in map");
    found.into_iter().map(|repeated| Duplicate::Line(words(repeated))).collect()
}

/// The keys within a value that their maps have already, each with the line on which its own value begins.
#[derive(Default)]
struct Node(Vec<(u64, String)>);

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(Nodes)
    }
}

struct Nodes;

impl<'de> Visitor<'de> for Nodes {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("YAML")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Node, E> {
        Ok(Node::default())
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Node, E> {
        Ok(Node::default())
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Node, E> {
        Ok(Node::default())
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<Node, E> {
        Ok(Node::default())
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Node, E> {
        Ok(Node::default())
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<Node, E> {
        Ok(Node::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut found = Vec::new();
        while let Some(Node(within)) = items.next_element()? {
            found.extend(within);
        }
        Ok(Node(found))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let (mut seen, mut found) = (BTreeSet::new(), Vec::new());
        while let Some((key, value)) = entries.next_entry::<String, Spanned<Node>>()? {
            if !seen.insert(key.clone()) {
                found.push((value.referenced.line(), key));
            }
            found.extend(value.value.0);
        }
        Ok(Node(found))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_last_of_equal_keys_counts_and_each_is_told() {
        let text = "\na: {b: 1, b: 2}\nc:\n- d: x\n  e: w\n  d:\n  - z\na: 3\nf: {a: 1, c: 2}\n";
        let decoded = decode(text.as_bytes()).unwrap();
        assert_eq!(
            decoded.value,
            json!({"a": 3, "c": [{"d": ["z"], "e": "w"}], "f": {"a": 1, "c": 2}})
        );
        let lines = ["line 2: key \"b\"", "line 7: key \"d\"", "line 8: key \"a\""];
        let lines = lines.map(|line| Duplicate::Line(format!("{line} already set in map")));
        assert_eq!(decoded.duplicates, lines);
        let json = decode(b"{\"a\": 1, \"a\": 2}").unwrap();
        assert_eq!(
            json.duplicates,
            [Duplicate::Line("line 1: key \"a\" already set in map".into())]
        );
    }
}
