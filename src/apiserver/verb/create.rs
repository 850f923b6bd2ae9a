//! POST on a collection.

use std::sync::Arc;

use http::StatusCode;
use serde_json::Value;
use uuid::Uuid;

use super::{Call, Part, options::WriteOptions, prepare::Origin, review};
use crate::apiserver::{
    answer::Answer,
    failure::Failure,
    json::{Decoded, Duplicate},
    object,
    schema::FieldError,
    store::{CommitError, Key, Stored, Write},
};

/// Names that are tried for a `generateName`.
const NAME_ATTEMPTS: usize = 8;

pub(super) async fn create(call: &Call) -> Result<Answer, Failure> {
    if call.is_computed() {
        return review::answer(call);
    }
    let options = call.write_options("CreateOptions")?;
    let Decoded { mut value, duplicates } = call.decode()?;
    call.check_identity(&mut value)?;
    let prefix = object::text(&value, "generateName").to_owned();
    let is_generated = object::name(&value).is_empty() && !prefix.is_empty();
    for attempt in 1.. {
        let mut value = value.clone();
        if is_generated {
            object::set(&mut value, "name", generated_name(&prefix).into());
        }
        match call.create_object(value, &duplicates, &options, Origin::Body).await {
            Err(failure)
                if is_generated && attempt < NAME_ATTEMPTS && failure.is_already_exists() => {}
            other => return other.and_then(|made| made.answer(call, StatusCode::CREATED)),
        }
    }
    Err(Failure::internal("no name could be generated"))
}

/// The outcome of a write.
pub(super) enum Made {
    /// It is stored.
    Stored(Arc<Stored>, Vec<String>),
    /// It would be this.
    Dry(Value, Vec<String>),
}

impl Made {
    pub(super) fn answer(self, call: &Call, code: StatusCode) -> Result<Answer, Failure> {
        let (answer, warnings) = match self {
            Made::Stored(stored, warnings) => (call.present(code, &stored)?, warnings),
            Made::Dry(value, warnings) => (call.present_value(code, &value)?, warnings),
        };
        Ok(answer.warn(warnings))
    }
}

impl Call {
    /// Stores a new object.
    pub(super) async fn create_object(
        &self,
        object: Value,
        duplicates: &[Duplicate],
        options: &WriteOptions,
        origin: Origin,
    ) -> Result<Made, Failure> {
        let definition = self.definition();
        let name = object::name(&object).to_owned();
        if name.is_empty() {
            let error = FieldError::required("metadata.name", "name or generateName is required");
            let mut errors = vec![error];
            errors.extend(definition.schema().unchecked_rules());
            return Err(Failure::invalid(definition, "", &errors));
        }
        if self.resource.is_terminating {
            let why = "create not allowed while custom resource definition is terminating";
            return Err(Failure::method_not_allowed_because(definition, why));
        }
        let key = Key::new(&self.resource.id, self.namespace(), &name);
        let said = object::revision(&object).filter(|revision| *revision != 0);
        loop {
            let relies_on = self.open_namespace(&name)?;
            // Also said before anything else is judged, as kube-apiserver does not.
            let (object, mut warnings) =
                self.prepare_new(object.clone(), duplicates, options, origin)?;
            let (new, dry_run) = (Some(&object), options.dry_run);
            warnings.extend(self.ask_policies(&name, new, None, Part::Main, dry_run)?);
            let charged = self.charge(&object, None, false, options.dry_run).await?;
            if options.dry_run {
                return match self.server.store.get(&key) {
                    Some(_) => Err(Failure::already_exists(definition, &name)),
                    None => Ok(Made::Dry(with_revision(object, said), warnings)),
                };
            }
            if origin == Origin::Body && said.is_some() {
                let why = "resourceVersion should not be set on objects to be created";
                return Err(Failure::faulty(why).warn(warnings));
            }
            let object = self.resource.to_stored(object);
            let write = Write { key: key.clone(), from: None, object, delete: false, relies_on };
            match self.server.store.commit(write).await {
                Ok(stored) => return Ok(Made::Stored(stored, warnings)),
                Err(error) => {
                    self.settle(charged);
                    match error {
                        CommitError::Stale if self.server.store.get(&key).is_some() => {
                            return Err(Failure::already_exists(definition, &name));
                        }
                        // The namespace changed in between, or the object came and went.
                        CommitError::Stale => {}
                        other => return Err(other.into()),
                    }
                }
            }
        }
    }

    /// The namespace that a new object needs, which must not be going away.
    fn open_namespace(&self, name: &str) -> Result<Option<(Key, u64)>, Failure> {
        if !self.definition().namespaced {
            return Ok(None);
        }
        let namespace = self.namespace();
        let Some(stored) = self.server.namespace(namespace) else {
            let served = self.server.registry.served();
            return Err(match served.find("", "v1", "namespaces") {
                Some(namespaces) => Failure::not_found(&namespaces.definition, namespace),
                None => Failure::internal("namespaces are not served"),
            });
        };
        if stored.deleting {
            return Err(Failure::namespace_terminating(self.definition(), name, namespace));
        }
        Ok(Some((stored.key.clone(), stored.revision)))
    }

    /// Whether the kind is a question that is answered, rather than an object that is stored.
    fn is_computed(&self) -> bool {
        let definition = self.definition();
        definition.builtin && !definition.allows(crate::apiserver::builtin::Verb::Get)
    }
}

/// An object that is not stored, with the revision that its writer said: only the store minds.
fn with_revision(mut object: Value, said: Option<u64>) -> Value {
    if let Some(revision) = said {
        object::set(&mut object, "resourceVersion", revision.to_string().into());
    }
    object
}

/// A prefix and five characters, without those that make words (`apimachinery/pkg/util/rand`).
fn generated_name(prefix: &str) -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    // 63 characters are the longest name that fits everywhere.
    let mut name: String = prefix.chars().take(63 - 5).collect();
    let random = Uuid::new_v4();
    name.extend(
        random
            .as_bytes()
            .iter()
            .take(5)
            .map(|b| char::from(LETTERS[usize::from(*b) % LETTERS.len()])),
    );
    name
}
