//! The document in protobuf: the messages of gnostic's `openapiv2/OpenAPIv2.proto`, by field number.

use serde_json::Value;

/// How a word of the document stands in its message.
#[derive(Clone, Copy)]
enum Field {
    /// Text.
    Text(u64),
    /// `true` or `false`.
    Truth(u64),
    /// A whole number.
    Whole(u64),
    /// Any number.
    Number(u64),
    /// Texts, one field each.
    Texts(u64),
    /// A text or several, in a message of their own.
    TextsWithin(u64),
    /// Any value.
    Any(u64),
    /// Any values, one field each.
    Anys(u64),
    /// A message.
    One(u64, &'static Message),
    /// A message, wrapped into others: the fields from the outermost to the innermost.
    Within(&'static [u64], &'static Message),
    /// A message in field 1, or a truth in field 2, of a message.
    OneOrTruth(u64, &'static Message),
    /// Messages, one field each.
    Many(u64, &'static Message),
    /// Parameters, which are wrapped by where they stand.
    Parameters(u64),
}

/// A message.
struct Message {
    words: &'static [(&'static str, Field)],
    /// The field of words that begin with `x-`.
    extensions: Option<u64>,
    /// The field of all other words, with the fields around each value and its message.
    others: Option<(u64, &'static [u64], &'static Message)>,
}

use Field::{
    Any, Anys, Many, Number, One, OneOrTruth, Parameters, Text, Texts, TextsWithin, Truth, Whole,
    Within,
};

static DOCUMENT: Message = Message {
    words: &[
        ("swagger", Text(1)),
        ("info", One(2, &INFO)),
        ("paths", One(8, &PATHS)),
        ("definitions", One(9, &SCHEMAS)),
    ],
    extensions: Some(16),
    others: None,
};

static INFO: Message =
    Message { words: &[("title", Text(1)), ("version", Text(2))], extensions: None, others: None };

static PATHS: Message =
    Message { words: &[], extensions: None, others: Some((2, &[], &PATH_ITEM)) };

static PATH_ITEM: Message = Message {
    words: &[
        ("get", One(2, &OPERATION)),
        ("put", One(3, &OPERATION)),
        ("post", One(4, &OPERATION)),
        ("delete", One(5, &OPERATION)),
        ("patch", One(8, &OPERATION)),
        ("parameters", Parameters(9)),
    ],
    extensions: Some(10),
    others: None,
};

static OPERATION: Message = Message {
    words: &[
        ("description", Text(3)),
        ("operationId", Text(5)),
        ("produces", Texts(6)),
        ("consumes", Texts(7)),
        ("parameters", Parameters(8)),
        ("responses", One(9, &RESPONSES)),
    ],
    extensions: Some(13),
    others: None,
};

static BODY: Message = Message {
    words: &[
        ("description", Text(1)),
        ("name", Text(2)),
        ("in", Text(3)),
        ("required", Truth(4)),
        ("schema", One(5, &SCHEMA)),
    ],
    extensions: Some(6),
    others: None,
};

static IN_QUERY: Message = Message {
    words: &[
        ("required", Truth(1)),
        ("in", Text(2)),
        ("description", Text(3)),
        ("name", Text(4)),
        ("type", Text(6)),
        ("uniqueItems", Truth(20)),
    ],
    extensions: Some(23),
    others: None,
};

static IN_PATH: Message = Message {
    words: &[
        ("required", Truth(1)),
        ("in", Text(2)),
        ("description", Text(3)),
        ("name", Text(4)),
        ("type", Text(5)),
        ("uniqueItems", Truth(19)),
    ],
    extensions: Some(22),
    others: None,
};

static RESPONSES: Message =
    Message { words: &[], extensions: Some(2), others: Some((1, &[1], &RESPONSE)) };

static RESPONSE: Message = Message {
    words: &[("description", Text(1)), ("schema", Within(&[2, 1], &SCHEMA))],
    extensions: Some(5),
    others: None,
};

static SCHEMAS: Message = Message { words: &[], extensions: None, others: Some((1, &[], &SCHEMA)) };

static SCHEMA: Message = Message {
    words: &[
        ("$ref", Text(1)),
        ("format", Text(2)),
        ("title", Text(3)),
        ("description", Text(4)),
        ("default", Any(5)),
        ("multipleOf", Number(6)),
        ("maximum", Number(7)),
        ("exclusiveMaximum", Truth(8)),
        ("minimum", Number(9)),
        ("exclusiveMinimum", Truth(10)),
        ("maxLength", Whole(11)),
        ("minLength", Whole(12)),
        ("pattern", Text(13)),
        ("maxItems", Whole(14)),
        ("minItems", Whole(15)),
        ("uniqueItems", Truth(16)),
        ("maxProperties", Whole(17)),
        ("minProperties", Whole(18)),
        ("required", Texts(19)),
        ("enum", Anys(20)),
        ("additionalProperties", OneOrTruth(21, &SCHEMA)),
        ("type", TextsWithin(22)),
        ("items", Within(&[23, 1], &SCHEMA)),
        ("allOf", Many(24, &SCHEMA)),
        ("properties", One(25, &SCHEMAS)),
        ("example", Any(30)),
    ],
    extensions: Some(31),
    others: None,
};

/// Encodes a document of version 2. Words that the message has no field for are left out.
#[must_use]
pub fn encode(document: &Value) -> Vec<u8> {
    message(document, &DOCUMENT)
}

fn message(value: &Value, of: &Message) -> Vec<u8> {
    let mut out = Vec::new();
    for (word, value) in value.as_object().into_iter().flatten() {
        if let Some((_, field)) = of.words.iter().find(|(known, _)| known == word) {
            put(&mut out, *field, value);
        } else if let Some(number) = of.extensions.filter(|_| word.starts_with("x-")) {
            named(&mut out, number, word, &any(value));
        } else if let Some((number, around, other)) = of.others {
            named(&mut out, number, word, &within(message(value, other), around));
        }
    }
    out
}

fn put(out: &mut Vec<u8>, field: Field, value: &Value) {
    let all = |value: &Value| -> Vec<Value> { value.as_array().cloned().unwrap_or_default() };
    match field {
        Text(number) => bytes(out, number, value.as_str().unwrap_or_default().as_bytes()),
        Truth(number) => flag(out, number, value),
        Whole(number) => {
            key(out, number, 0);
            // Two's complement, as protobuf has negative numbers.
            varint(out, value.as_i64().unwrap_or_default() as u64);
        }
        Number(number) => {
            key(out, number, 1);
            out.extend_from_slice(&value.as_f64().unwrap_or_default().to_le_bytes());
        }
        Texts(number) => {
            all(value).iter().for_each(|text| put(out, Text(number), text));
        }
        TextsWithin(number) => {
            let mut inner = Vec::new();
            match value {
                Value::Array(_) => put(&mut inner, Texts(1), value),
                text => put(&mut inner, Text(1), text),
            }
            bytes(out, number, &inner);
        }
        Any(number) => bytes(out, number, &any(value)),
        Anys(number) => all(value).iter().for_each(|value| bytes(out, number, &any(value))),
        One(number, of) => bytes(out, number, &message(value, of)),
        Within(around, of) => out.extend(within(message(value, of), around)),
        OneOrTruth(number, of) => {
            let mut inner = Vec::new();
            match value {
                Value::Bool(_) => flag(&mut inner, 2, value),
                schema => bytes(&mut inner, 1, &message(schema, of)),
            }
            bytes(out, number, &inner);
        }
        Many(number, of) => {
            all(value).iter().for_each(|value| bytes(out, number, &message(value, of)));
        }
        Parameters(number) => {
            for parameter in all(value) {
                let (around, of): (&[u64], _) = match parameter["in"].as_str() {
                    Some("body") => (&[1, 1], &BODY),
                    Some("path") => (&[1, 2, 4], &IN_PATH),
                    _ => (&[1, 2, 3], &IN_QUERY),
                };
                bytes(out, number, &within(message(&parameter, of), around));
            }
        }
    }
}

/// A message in the messages around it.
fn within(message: Vec<u8>, around: &[u64]) -> Vec<u8> {
    around.iter().rev().fold(message, |message, number| {
        let mut outer = Vec::with_capacity(message.len() + 8);
        bytes(&mut outer, *number, &message);
        outer
    })
}

/// A value of any kind is text in YAML, of which JSON is a part.
fn any(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    bytes(&mut out, 2, value.to_string().as_bytes());
    out
}

fn named(out: &mut Vec<u8>, number: u64, name: &str, value: &[u8]) {
    let mut pair = Vec::with_capacity(name.len() + value.len() + 12);
    bytes(&mut pair, 1, name.as_bytes());
    bytes(&mut pair, 2, value);
    bytes(out, number, &pair);
}

fn flag(out: &mut Vec<u8>, number: u64, value: &Value) {
    key(out, number, 0);
    varint(out, u64::from(value.as_bool().unwrap_or_default()));
}

fn bytes(out: &mut Vec<u8>, number: u64, content: &[u8]) {
    key(out, number, 2);
    varint(out, content.len() as u64);
    out.extend_from_slice(content);
}

fn key(out: &mut Vec<u8>, number: u64, wire_type: u64) {
    varint(out, number << 3 | wire_type);
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value > 0x7f {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Worked out by hand from the numbers of the `.proto` file.
    #[test]
    fn words_are_where_gnostic_looks_for_them() {
        for (value, of, expected) in [
            (json!({"type": "string"}), &SCHEMA, &b"\xb2\x01\x08\x0a\x06string"[..]),
            (json!({"items": {"format": "f"}}), &SCHEMA, b"\xba\x01\x05\x0a\x03\x12\x01f"),
            (json!({"minLength": 300}), &SCHEMA, b"\x60\xac\x02"),
            (json!({"minimum": 1}), &SCHEMA, b"\x49\0\0\0\0\0\0\xf0\x3f"),
            (json!({"enum": ["a"]}), &SCHEMA, b"\xa2\x01\x05\x12\x03\"a\""),
            (json!({"additionalProperties": true}), &SCHEMA, b"\xaa\x01\x02\x10\x01"),
            (
                json!({"properties": {"a": {"title": "t"}}}),
                &SCHEMA,
                b"\xca\x01\x0a\x0a\x08\x0a\x01a\x12\x03\x1a\x01t",
            ),
            (json!({"x-y": 1}), &SCHEMA, b"\xfa\x01\x0a\x0a\x03x-y\x12\x03\x12\x011"),
            (json!({"/a": {"get": {}}}), &PATHS, b"\x12\x08\x0a\x02/a\x12\x02\x12\0"),
            (
                json!({"200": {"description": "d"}}),
                &RESPONSES,
                b"\x0a\x0c\x0a\x03200\x12\x05\x0a\x03\x0a\x01d",
            ),
            (
                json!({"parameters": [{"in": "query", "name": "n"}]}),
                &OPERATION,
                b"\x42\x10\x0a\x0e\x12\x0c\x1a\x0a\x12\x05query\x22\x01n",
            ),
        ] {
            assert_eq!(message(&value, of), expected, "{value}");
        }
    }
}
