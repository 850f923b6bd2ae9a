//! Questions: objects that are read and answered as all others, and never stored.

use serde_json::Value;

use super::{Call, prepare::Origin};
use crate::apiserver::{builtin::admission, failure::Failure, field, json::Decoded, object};

/// What was asked, and what its sender is warned of.
pub(super) struct Question {
    pub value: Value,
    pub warnings: Vec<String>,
    pub manager: String,
}

impl Call {
    /// Reads a question.
    pub(super) fn question(&self) -> Result<Question, Failure> {
        let options = self.write_options("CreateOptions")?;
        let Decoded { mut value, duplicates } = self.decode()?;
        self.check_identity(&mut value)?;
        let warnings =
            self.drop_unknown(&mut value, &duplicates, options.validation, Origin::Body)?;
        Ok(Question { value, warnings, manager: options.manager })
    }

    /// Fills what the sender left out, and says who sent the rest.
    pub(super) fn complete(&self, question: &mut Question, subresource: Option<&str>) {
        let definition = self.definition();
        let value = &mut question.value;
        self.with_admission(|context| admission::prepare_create(definition, value, context));
        let (schema, now) = (definition.schema(), self.server.now());
        schema.apply_defaults(value);
        // The namespace in the path is nobody's.
        field::track_update(None, value, &question.manager, subresource, schema, now);
    }
}

/// What the server itself knows of an object, and nobody else says.
pub(super) fn forget_server_metadata(question: &mut Value) {
    for field in
        ["uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"]
    {
        object::set(question, field, Value::Null);
    }
}
