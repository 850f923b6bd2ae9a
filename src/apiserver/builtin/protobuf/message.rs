//! From messages to JSON, by the field tables of the built-in types.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use super::{
    super::types::{Field, Shape, TYPES, Type},
    ProtobufError,
    wire::{self, Data},
};

/// How deep messages may nest. Schemas of CustomResourceDefinitions are the deepest that people write.
const MAX_DEPTH: usize = 100;

type Object = Map<String, Value>;

/// Reads the message of a type.
pub(super) fn read(of: &Type, bytes: &[u8], depth: usize) -> Result<Object, ProtobufError> {
    let mut object = Object::new();
    into(of, bytes, &mut object, depth)?;
    Ok(object)
}

fn into(of: &Type, bytes: &[u8], object: &mut Object, depth: usize) -> Result<(), ProtobufError> {
    if depth > MAX_DEPTH {
        return Err(ProtobufError::Malformed("messages nest too deeply"));
    }
    for field in wire::fields(bytes) {
        let (number, data) = field?;
        let Some(Field { name, shape, .. }) = of.fields.iter().find(|f| f.number == number) else {
            continue;
        };
        match (name, shape) {
            (None, Shape::Message(part)) => {
                into(TYPES.get(*part), data.bytes()?, object, depth + 1)?;
            }
            (None, _) => {}
            (Some(name), Shape::List(item)) => {
                let list = entry(object, name, || Value::Array(Vec::new()));
                if let Value::Array(list) = list {
                    items(item, data, list, depth)?;
                }
            }
            (Some(name), Shape::Map(item)) => {
                let map = entry(object, name, || Value::Object(Object::new()));
                if let Value::Object(map) = map {
                    let (key, value) = pair(item, data.bytes()?, depth)?;
                    map.insert(key, value);
                }
            }
            (Some(name), shape) => {
                object.insert((*name).to_owned(), value(shape, data, depth)?);
            }
        }
    }
    Ok(())
}

fn entry<'o>(object: &'o mut Object, name: &str, empty: fn() -> Value) -> &'o mut Value {
    object.entry(name).or_insert_with(empty)
}

/// One item of a list, or several packed numbers.
fn items(
    shape: &Shape,
    data: Data<'_>,
    list: &mut Vec<Value>,
    depth: usize,
) -> Result<(), ProtobufError> {
    let packable = matches!(shape, Shape::Bool | Shape::Int32 | Shape::Int64 | Shape::Byte);
    match data {
        Data::Bytes(mut packed) if packable => {
            while !packed.is_empty() {
                let number = wire::varint(&mut packed)?;
                list.push(value(shape, Data::Varint(number), depth)?);
            }
        }
        data => list.push(value(shape, data, depth)?),
    }
    Ok(())
}

/// An entry of a map: a message with the key in field 1 and the value in field 2.
fn pair(shape: &Shape, bytes: &[u8], depth: usize) -> Result<(String, Value), ProtobufError> {
    let (mut key, mut found) = (String::new(), None);
    for field in wire::fields(bytes) {
        match field? {
            (1, data) => key = data.text()?,
            (2, data) => found = Some(value(shape, data, depth)?),
            _ => {}
        }
    }
    let value = match found {
        Some(value) => value,
        None if matches!(shape, Shape::String | Shape::Bytes) => "".into(),
        None => Value::Null,
    };
    Ok((key, value))
}

fn value(shape: &Shape, data: Data<'_>, depth: usize) -> Result<Value, ProtobufError> {
    Ok(match shape {
        Shape::String => data.text()?.into(),
        Shape::Bytes => STANDARD.encode(data.bytes()?).into(),
        Shape::Bool => (data.varint()? != 0).into(),
        // Negative numbers are sent as 64 bits; Go cuts them to the field's size.
        Shape::Int32 | Shape::Byte => (data.varint()? as i32).into(),
        Shape::Int64 => data.varint()?.cast_signed().into(),
        Shape::Double => match data {
            Data::Fixed64(bits) => f64::from_bits(bits).into(),
            Data::Fixed32(bits) => f32::from_bits(bits).into(),
            _ => return Err(ProtobufError::Malformed("a field has the wrong wire type")),
        },
        Shape::Quantity => nested(data, 1)?.map_or(Ok("0".to_owned()), Data::text)?.into(),
        Shape::IntOrString => int_or_string(data)?,
        Shape::Time => time(data, "%Y-%m-%dT%H:%M:%SZ")?,
        Shape::MicroTime => time(data, "%Y-%m-%dT%H:%M:%S.%6fZ")?,
        Shape::Duration => {
            let nanos = nested(data, 1)?.map_or(Ok(0), Data::varint)?.cast_signed();
            format!("{}s", SignedDuration::from_nanos(nanos).as_secs_f64()).into()
        }
        Shape::Raw | Shape::Json | Shape::Fields => json(data)?,
        Shape::SchemaOrArray => schema_or(data, depth, |number, data, schema| match number {
            1 => schema(data),
            2 => schema(data).map(|item| Value::Array(vec![item])),
            _ => Ok(Value::Null),
        })?,
        Shape::SchemaOrBool => schema_or(data, depth, |number, data, schema| match number {
            1 => Ok((data.varint()? != 0).into()),
            2 => schema(data),
            _ => Ok(Value::Null),
        })?,
        Shape::SchemaOrStrings => schema_or(data, depth, |number, data, schema| match number {
            1 => schema(data),
            2 => Ok(Value::Array(vec![data.text()?.into()])),
            _ => Ok(Value::Null),
        })?,
        Shape::Message(id) => Value::Object(read(TYPES.get(*id), data.bytes()?, depth + 1)?),
        // A map of lists has messages whose first field is the list.
        Shape::List(item) => {
            let mut list = Vec::new();
            for field in wire::fields(data.bytes()?) {
                if let (1, data) = field? {
                    items(item, data, &mut list, depth + 1)?;
                }
            }
            Value::Array(list)
        }
        Shape::Map(_) => return Err(ProtobufError::Malformed("a map within a map")),
    })
}

/// The last value of one field of a small message.
fn nested(data: Data<'_>, number: u32) -> Result<Option<Data<'_>>, ProtobufError> {
    let mut found = None;
    for field in wire::fields(data.bytes()?) {
        let (at, data) = field?;
        if at == number {
            found = Some(data);
        }
    }
    Ok(found)
}

fn int_or_string(data: Data<'_>) -> Result<Value, ProtobufError> {
    let is_text = nested(data, 1)?.map_or(Ok(0), Data::varint)? == 1;
    if is_text {
        Ok(nested(data, 3)?.map_or(Ok(String::new()), Data::text)?.into())
    } else {
        Ok((nested(data, 2)?.map_or(Ok(0), Data::varint)? as i32).into())
    }
}

/// Seconds and nanoseconds since the epoch. An empty message is no time at all.
fn time(data: Data<'_>, format: &str) -> Result<Value, ProtobufError> {
    if data.bytes()?.is_empty() {
        return Ok(Value::Null);
    }
    let seconds = nested(data, 1)?.map_or(Ok(0), Data::varint)?.cast_signed();
    let nanos = nested(data, 2)?.map_or(Ok(0), Data::varint)? as i32;
    let time = Timestamp::new(seconds, nanos.clamp(0, 999_999_999))
        .map_err(|_| ProtobufError::Malformed("a time is out of range"))?;
    Ok(time.strftime(format).to_string().into())
}

fn json(data: Data<'_>) -> Result<Value, ProtobufError> {
    let raw = nested(data, 1)?.map_or(Ok(&[][..]), Data::bytes)?;
    if raw.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(raw).map_err(|_| ProtobufError::Malformed("a field holds no JSON"))
}

/// A message that holds a schema or something else. Lists of one are joined.
fn schema_or(
    data: Data<'_>,
    depth: usize,
    read_one: impl Fn(
        u32,
        Data<'_>,
        &dyn Fn(Data<'_>) -> Result<Value, ProtobufError>,
    ) -> Result<Value, ProtobufError>,
) -> Result<Value, ProtobufError> {
    let schema = |data: Data<'_>| match TYPES.named("apiextensions/v1", "JSONSchemaProps") {
        Some(id) => read(TYPES.get(id), data.bytes()?, depth + 1).map(Value::Object),
        None => Ok(Value::Null),
    };
    let mut found = Value::Null;
    for field in wire::fields(data.bytes()?) {
        let (number, data) = field?;
        match (read_one(number, data, &schema)?, &mut found) {
            (Value::Array(mut item), Value::Array(list)) => list.append(&mut item),
            (Value::Null, _) => {}
            (value, found) => *found = value,
        }
    }
    Ok(found)
}
