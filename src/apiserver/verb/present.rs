//! Objects in the form that the client wants.

use http::StatusCode;
use serde_json::{Value, json};

use super::Call;
use crate::apiserver::{
    accept::{Form, Text},
    answer::Answer,
    builtin::table::{self, Column, IncludeObject},
    failure::Failure,
    store::Stored,
};

impl Call {
    /// Answers with a stored object.
    pub(super) fn present(&self, code: StatusCode, stored: &Stored) -> Result<Answer, Failure> {
        let is_plain = self.accept.form == Form::Object && self.accept.text == Text::Json;
        if is_plain && self.resource.reads_as_stored(stored) {
            return Ok(Answer::json(code, stored.json.clone()));
        }
        self.present_value(code, &self.resource.read(stored))
    }

    /// Answers with an object as a client of this version reads it.
    pub(super) fn present_value(
        &self,
        code: StatusCode,
        object: &Value,
    ) -> Result<Answer, Failure> {
        self.present_in(&self.definition().columns, code, object)
    }

    /// Answers with an object whose table has these columns.
    pub(super) fn present_in(
        &self,
        columns: &[Column],
        code: StatusCode,
        object: &Value,
    ) -> Result<Answer, Failure> {
        let text = self.accept.text;
        Ok(match self.accept.form {
            Form::Object => Answer::value(code, object, text),
            Form::Metadata => Answer::value(code, &metadata_of(object), text),
            Form::MetadataList => {
                let (asked, is) = ("PartialObjectMetadataList", "is not a list");
                return Err(Failure::other_form(asked, is, self.definition(), ""));
            }
            Form::Table => {
                let include = self.include_object()?;
                let now = self.server.now();
                let table = table::render(columns, &[object], &Value::Null, include, now);
                Answer::value(code, &table, text)
            }
        })
    }

    /// What rows of a table carry.
    pub(super) fn include_object(&self) -> Result<IncludeObject, Failure> {
        let word = self.query.get("includeObject").unwrap_or_default();
        IncludeObject::parse(word).ok_or_else(|| {
            Failure::bad_request(format!(
                "Unable to convert to Table as requested: includeObject: Invalid value: \"{word}\": must be \
                 'Metadata', 'Object', 'None', or empty"
            ))
        })
    }

    pub(super) fn table(
        &self,
        items: &[&Value],
        list_meta: &Value,
        include: IncludeObject,
    ) -> Value {
        table::render(&self.definition().columns, items, list_meta, include, self.server.now())
    }
}

/// `PartialObjectMetadata` of an object.
pub(super) fn metadata_of(object: &Value) -> Value {
    json!({
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": object.get("metadata").cloned().unwrap_or_else(|| json!({})),
    })
}
