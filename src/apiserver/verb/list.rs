//! GET of a collection, in pages that all show one moment.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::{Call, present::metadata_of};
use crate::apiserver::{
    accept::{Form, Text},
    answer::Answer,
    failure::Failure,
    schema::FieldError,
    store::{Page, Range, Stored},
};

/// Where a list goes on: the moment it shows, and the last object shown. A revision of 0 is the present.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Token {
    revision: u64,
    after: (String, String),
}

impl Token {
    fn encode(&self) -> String {
        let (namespace, name) = &self.after;
        URL_SAFE_NO_PAD.encode(json!([1, self.revision, namespace, name]).to_string())
    }

    fn decode(text: &str) -> Result<Token, Failure> {
        let read = || {
            let bytes = URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok()?;
            let (1, revision, namespace, name) = serde_json::from_slice(&bytes).ok()? else {
                return None;
            };
            Some(Token { revision, after: (namespace, name) })
        };
        read().ok_or_else(|| {
            Failure::bad_request(
                "invalid continue token: continue key is not valid: illegal base64 data at input byte 0",
            )
        })
    }
}

/// What the parameters of a list ask for.
pub(super) struct Wanted {
    pub range: Range,
    pub limit: Option<usize>,
}

pub(super) fn list(call: &Call) -> Result<Answer, Failure> {
    let selection = call.selection()?;
    let Wanted { range, limit } = wanted(call)?;
    let store = &call.server.store;
    let page = store.list(&call.resource.id, &range).map_err(|_| expired(&range))?;
    let Page { revision, objects } = page;
    let mut selected = objects.iter().filter(|o| selection.matches(&call.resource, o));
    let items: Vec<&Arc<Stored>> = match limit {
        Some(limit) => selected.by_ref().take(limit).collect(),
        None => selected.by_ref().collect(),
    };
    let mut metadata = Map::new();
    metadata.insert("resourceVersion".to_owned(), revision.to_string().into());
    if !call.definition().builtin && call.accept.form == Form::Object {
        // Lists of custom kinds always say it.
        metadata.insert("continue".to_owned(), "".into());
    }
    if limit.is_some()
        && let Some(last) = items.last()
    {
        // As kube-apiserver, go on while anything is left, selected or not, and count it only where nothing is selected.
        let place = |object: &Arc<Stored>| (object.key.namespace.clone(), object.key.name.clone());
        let left = objects.iter().rev().take_while(|object| place(object) > place(last)).count();
        if left > 0 {
            metadata.insert("continue".to_owned(), continue_after(revision, last).into());
            if selection.is_empty() {
                metadata.insert("remainingItemCount".to_owned(), left.into());
            }
        }
    }
    call.present_list(metadata, &items)
}

/// Where the list goes on after `last` in a page that shows `revision`.
pub(super) fn continue_after(revision: u64, last: &Stored) -> String {
    let after = (last.key.namespace.to_string(), last.key.name.to_string());
    Token { revision, after }.encode()
}

/// Reads `continue`, `limit`, `resourceVersion` and `resourceVersionMatch`.
pub(super) fn wanted(call: &Call) -> Result<Wanted, Failure> {
    let query = &call.query;
    let limit = query.limit()?;
    let mut range = Range { namespace: call.namespace.clone(), ..Range::default() };
    let rule = query.get("resourceVersionMatch");
    if query.switch("sendInitialEvents").is_some() {
        let error =
            FieldError::forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list");
        return Err(Failure::invalid_options("ListOptions", &[error]));
    }
    if let Some(token) = query.get("continue") {
        if rule.is_some() {
            let mut errors = Vec::new();
            if query.get("resourceVersion").is_none() {
                errors.push("resourceVersionMatch is forbidden unless resourceVersion is provided");
            }
            errors.push("resourceVersionMatch is forbidden when continue is provided");
            let errors: Vec<FieldError> = errors
                .into_iter()
                .map(|why| FieldError::forbidden("resourceVersionMatch", why))
                .collect();
            return Err(Failure::invalid_options("ListOptions", &errors));
        }
        if query.get("resourceVersion").is_some_and(|version| version != "0") {
            let why = "specifying resource version is not allowed when using continue";
            return Err(Failure::bad_request(why));
        }
        let token = Token::decode(token)?;
        range.revision = (token.revision > 0).then_some(token.revision);
        range.after = Some(token.after);
        return Ok(Wanted { range, limit });
    }
    let asked = call.asked_revision()?;
    if rule.is_some() && query.get("resourceVersion").is_none() {
        return Err(forbidden_rule(
            "resourceVersionMatch is forbidden unless resourceVersion is provided",
        ));
    }
    match rule {
        None if limit.is_some() && asked > 0 => range.revision = Some(asked),
        None | Some("NotOlderThan") => {}
        Some("Exact") if asked > 0 => range.revision = Some(asked),
        Some("Exact") => {
            let why = "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"";
            return Err(forbidden_rule(why));
        }
        Some(other) => {
            let supported = ["Exact", "NotOlderThan", ""].map(str::to_owned);
            let error =
                FieldError::not_supported("resourceVersionMatch", &other.into(), &supported);
            return Err(Failure::invalid_options("ListOptions", &[error]));
        }
    }
    Ok(Wanted { range, limit })
}

pub(super) fn forbidden_rule(why: &str) -> Failure {
    Failure::invalid_options("ListOptions", &[FieldError::forbidden("resourceVersionMatch", why)])
}

/// 410; for a list that goes on, with a token to go on from the same object in the present.
pub(super) fn expired(range: &Range) -> Failure {
    let Some(after) = &range.after else {
        return Failure::expired("The resourceVersion for the provided list is too old.");
    };
    let message = "The provided continue parameter is too old to display a consistent list result. You can start a new \
                   list without the continue parameter, or use the continue token in this response to retrieve the \
                   remainder of the results. Continuing with the provided token results in an inconsistent list - \
                   objects that were created, modified, or deleted between the time the first chunk was returned and \
                   now may show up in the list.";
    Failure::expired(message).continue_with(Token { revision: 0, after: after.clone() }.encode())
}

impl Call {
    pub(super) fn present_list(
        &self,
        metadata: Map<String, Value>,
        items: &[&Arc<Stored>],
    ) -> Result<Answer, Failure> {
        let (resource, text) = (&self.resource, self.accept.text);
        // Lists of built-in kinds say once what their items are.
        let untyped = |mut object: Value| {
            if let Some(fields) = object.as_object_mut().filter(|_| self.definition().builtin) {
                fields.remove("apiVersion");
                fields.remove("kind");
            }
            object
        };
        let read = || items.iter().map(|item| resource.read(item));
        let list = match self.accept.form {
            Form::Object if text == Text::Json => {
                return Ok(Answer::json(StatusCode::OK, self.list_text(metadata, items)));
            }
            Form::Object => json!({
                "kind": self.definition().list_kind,
                "apiVersion": self.definition().api_version(),
                "metadata": metadata,
                "items": read().map(untyped).collect::<Vec<Value>>(),
            }),
            Form::Metadata => {
                let (asked, is) = ("PartialObjectMetadata", "is a list");
                return Err(Failure::other_form(asked, is, self.definition(), "List"));
            }
            Form::MetadataList => {
                let items: Vec<Value> = read().map(|object| metadata_of(&object)).collect();
                json!({
                    "kind": "PartialObjectMetadataList",
                    "apiVersion": "meta.k8s.io/v1",
                    "metadata": metadata,
                    // As Go writes a list that nothing was ever added to.
                    "items": if items.is_empty() { Value::Null } else { items.into() },
                })
            }
            Form::Table => {
                let objects: Vec<Value> = read().collect();
                let rows: Vec<&Value> = objects.iter().collect();
                self.table(&rows, &Value::Object(metadata), self.include_object()?)
            }
        };
        Ok(Answer::value(StatusCode::OK, &list, text))
    }

    /// A list as text, of objects that mostly are text already.
    fn list_text(&self, metadata: Map<String, Value>, items: &[&Arc<Stored>]) -> Vec<u8> {
        let mut json = format!(
            "{{\"kind\":{},\"apiVersion\":{},\"metadata\":{},\"items\":[",
            Value::from(self.definition().list_kind.as_str()),
            Value::from(self.definition().api_version()),
            Value::Object(metadata)
        )
        .into_bytes();
        json.reserve(items.iter().map(|item| item.json.len() + 1).sum::<usize>() + 3);
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                json.push(b',');
            }
            let converted;
            let text: &[u8] = if self.resource.reads_as_stored(item) {
                &item.json
            } else {
                converted = self.resource.read(item).to_string();
                converted.as_bytes()
            };
            if self.definition().builtin {
                push_untyped(&mut json, text);
            } else {
                json.extend_from_slice(text);
            }
        }
        json.extend_from_slice(b"]}\n");
        json
    }
}

/// Appends the text of an object without its own `apiVersion` and `kind`. What is no such text is appended as it is.
fn push_untyped(into: &mut Vec<u8>, object: &[u8]) {
    let start = into.len();
    let mut kept = 0;
    for (from, to) in typing(object) {
        into.extend_from_slice(&object[kept..from]);
        kept = to;
    }
    into.extend_from_slice(&object[kept..]);
    // Where they were the last fields, the comma before them is left.
    if into[start..].ends_with(b",}") {
        into.truncate(into.len() - 2);
        into.push(b'}');
    }
}

/// Where the outermost `apiVersion` and `kind` of an object are in its text, each with the comma after it.
fn typing(object: &[u8]) -> Vec<(usize, usize)> {
    let (mut found, mut depth, mut at) = (Vec::new(), 0_usize, 0);
    while let Some(byte) = object.get(at) {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => {
                let end = text_end(object, at);
                let is_type = depth == 1
                    && object.get(end) == Some(&b':')
                    && matches!(&object[at..end], b"\"apiVersion\"" | b"\"kind\"");
                if is_type && object.get(end + 1) == Some(&b'"') {
                    let value_end = text_end(object, end + 1);
                    let has_comma = object.get(value_end) == Some(&b',');
                    let next = value_end + usize::from(has_comma);
                    found.push((at, next));
                    at = next;
                } else {
                    at = end;
                }
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// Just after the text that begins with the quote at `start`.
fn text_end(object: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(byte) = object.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    object.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_lose_their_own_type_and_nothing_else() {
        let cases = [
            json!({"apiVersion": "v1", "data": {"kind": "x", "a\"": "\\"}, "kind": "K", "metadata": {}}),
            json!({"apiVersion": "v1", "kind": "K", "l": [{"kind": "inner"}]}),
            json!({"a": 1, "apiVersion": "v1", "kind": "K"}),
            json!({"kind": {"not": "text"}, "m": 1}),
        ];
        for object in cases {
            let mut text = Vec::new();
            push_untyped(&mut text, object.to_string().as_bytes());
            let mut expected = object.clone();
            for field in ["apiVersion", "kind"] {
                if expected[field].is_string() {
                    expected.as_object_mut().unwrap().remove(field);
                }
            }
            assert_eq!(serde_json::from_slice::<Value>(&text).unwrap(), expected, "{object}");
        }
    }

    #[test]
    fn tokens_read_back() {
        let token = Token { revision: 7, after: ("a".to_owned(), "b".to_owned()) };
        assert_eq!(Token::decode(&token.encode()).unwrap(), token);
        assert!(Token::decode("bm9uc2Vuc2U").is_err());
        assert!(Token::decode("%").is_err());
    }
}
