//! From what a client sent to what is stored: unknown fields, what the server itself fills, defaults, generation,
//! ownership of fields, validation.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{Call, Part, options::FieldValidation, options::WriteOptions};
use crate::apiserver::{
    builtin::admission, decode::Decoded, failure::Failure, field, object, schema::FieldError,
    store::Range,
};

/// Where an object comes from, for how its unknown fields are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// The body of the request.
    Body,
    /// A patch of the stored object.
    Patch,
    /// Server-side apply, which keeps the owners itself.
    Apply,
}

/// Metadata that only the server writes; an update keeps it.
const SERVER_METADATA: [&str; 7] = [
    "uid",
    "creationTimestamp",
    "generation",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "selfLink",
    "resourceVersion",
];

impl Call {
    /// Checks that a decoded body is an object of this kind, in this namespace.
    pub(super) fn check_identity(&self, object: &mut Value) -> Result<(), Failure> {
        let definition = self.definition();
        if !object.is_object() {
            return Err(Failure::bad_request("the body of the request is no object"));
        }
        let expected =
            [("apiVersion", definition.api_version()), ("kind", definition.kind.clone())];
        for (field, expected) in expected {
            match object.get(field).and_then(Value::as_str).unwrap_or_default() {
                "" => object[field] = expected.into(),
                given if given == expected => {}
                given if field == "apiVersion" => {
                    return Err(Failure::bad_request(format!(
                        "the API version in the data ({given}) does not match the expected API version ({expected})"
                    )));
                }
                given => {
                    return Err(Failure::bad_request(format!(
                        "{given} in version \"{}\" cannot be handled as a {expected}",
                        definition.version
                    )));
                }
            }
        }
        object::metadata_mut(object);
        let namespace = self.namespace();
        match object::namespace(object) {
            given if given == namespace => {}
            "" => object::set(object, "namespace", namespace.into()),
            _ if namespace.is_empty() => object::set(object, "namespace", Value::Null),
            _ => {
                return Err(Failure::bad_request(
                    "the namespace of the provided object does not match the namespace sent on the request",
                ));
            }
        }
        Ok(())
    }

    /// Makes `object` what is stored for a create, and what a client may be warned of.
    pub(super) fn prepare_new(
        &self,
        mut object: Value,
        duplicates: &[String],
        options: &WriteOptions,
        origin: Origin,
    ) -> Result<(Value, Vec<String>), Failure> {
        let definition = self.definition();
        let now = self.server.now();
        if definition.status
            && let Some(fields) = object.as_object_mut()
        {
            fields.remove("status");
        }
        for field in SERVER_METADATA {
            object::set(&mut object, field, Value::Null);
        }
        let warnings = self.drop_unknown(&mut object, duplicates, options.validation, origin)?;
        admission::check_types(definition, &object).map_err(Failure::bad_request)?;
        object::set(&mut object, "uid", Uuid::new_v4().to_string().into());
        object::set(&mut object, "creationTimestamp", object::time(now).into());
        if self.resource.counts_generations() {
            object::set(&mut object, "generation", 1.into());
        }
        self.with_admission(|context| admission::prepare_create(definition, &mut object, context));
        definition.schema().apply_defaults(&mut object);
        if origin != Origin::Apply {
            field::track_update(
                None,
                &mut object,
                &options.manager,
                None,
                definition.schema(),
                now,
            );
        }
        self.validate(&object, None)?;
        Ok((object, warnings))
    }

    /// Makes `new` what is stored in place of `old`, and what a client may be warned of.
    pub(super) fn prepare_change(
        &self,
        old: &Value,
        new: Decoded,
        part: Part,
        options: &WriteOptions,
        origin: Origin,
    ) -> Result<(Value, Vec<String>), Failure> {
        let definition = self.definition();
        let now = self.server.now();
        let Decoded { value: mut new, duplicates } = new;
        self.check_uid(old, &new)?;
        let warnings = self.drop_unknown(&mut new, &duplicates, options.validation, origin)?;
        admission::check_types(definition, &new).map_err(Failure::bad_request)?;
        for field in SERVER_METADATA {
            object::copy(&mut new, old, field);
        }
        let mut new = self.isolate(old, new, part);
        self.with_admission(|context| {
            admission::prepare_update(definition, old, &mut new, context)
        });
        definition.schema().apply_defaults(&mut new);
        if self.resource.counts_generations() && self.asks_differently(old, &new) {
            let generation =
                object::metadata(old, "generation").and_then(Value::as_i64).unwrap_or(0);
            object::set(&mut new, "generation", (generation + 1).into());
        }
        if origin != Origin::Apply {
            let (manager, subresource) = (&options.manager, part.subresource());
            field::track_update(
                Some(old),
                &mut new,
                manager,
                subresource,
                definition.schema(),
                now,
            );
        }
        if new != *old {
            self.validate(&new, Some(old))?;
        }
        Ok((new, warnings))
    }

    fn check_uid(&self, old: &Value, new: &Value) -> Result<(), Failure> {
        let (had, given) = (object::text(old, "uid"), object::text(new, "uid"));
        if given.is_empty() || given == had {
            return Ok(());
        }
        let why =
            format!("Precondition failed: UID in precondition: {given}, UID in object meta: {had}");
        Err(Failure::conflict(self.definition(), object::name(old), &why))
    }

    /// Keeps what the request is not about.
    fn isolate(&self, old: &Value, mut new: Value, part: Part) -> Value {
        let keep = |into: &mut Value, from: &Value, field: &str| {
            if let (Some(fields), value) = (into.as_object_mut(), from.get(field)) {
                match value {
                    Some(value) => fields.insert(field.to_owned(), value.clone()),
                    None => fields.remove(field),
                };
            }
        };
        match part {
            Part::Main | Part::Scale => {
                if self.definition().status {
                    keep(&mut new, old, "status");
                }
                new
            }
            Part::Status => {
                let mut kept = old.clone();
                keep(&mut kept, &new, "status");
                object::copy(&mut kept, &new, "managedFields");
                kept
            }
            Part::Finalize => {
                let mut kept = old.clone();
                kept["spec"] = json!({"finalizers": new.pointer("/spec/finalizers").cloned().unwrap_or(json!([]))});
                object::copy(&mut kept, &new, "managedFields");
                kept
            }
        }
    }

    /// Whether more than metadata and status changed.
    fn asks_differently(&self, old: &Value, new: &Value) -> bool {
        let (Some(old), Some(new)) = (old.as_object(), new.as_object()) else { return false };
        let counts =
            |field: &str| field != "metadata" && !(field == "status" && self.definition().status);
        let changed =
            old.iter().any(|(field, value)| counts(field) && new.get(field) != Some(value));
        changed || new.keys().any(|field| counts(field) && !old.contains_key(field))
    }

    /// Drops what the schema does not know, and says so as the client wishes.
    fn drop_unknown(
        &self,
        object: &mut Value,
        duplicates: &[String],
        validation: FieldValidation,
        origin: Origin,
    ) -> Result<Vec<String>, Failure> {
        let before = (validation == FieldValidation::Strict && origin == Origin::Patch)
            .then(|| object.clone());
        let unknown = self.definition().schema().prune(object);
        let said: Vec<String> = duplicates
            .iter()
            .map(|path| format!("duplicate field \"{path}\""))
            .chain(unknown.iter().map(|path| format!("unknown field \"{path}\"")))
            .collect();
        match (validation, before) {
            _ if said.is_empty() => Ok(Vec::new()),
            (FieldValidation::Ignore, _) => Ok(Vec::new()),
            (FieldValidation::Warn, _) => Ok(said),
            (FieldValidation::Strict, before) => {
                let message = format!("strict decoding error: {}", said.join(", "));
                Err(match before {
                    Some(patched) => Failure::invalid_patch(&patched, &message),
                    None => Failure::bad_request(message),
                })
            }
        }
    }

    fn validate(&self, new: &Value, old: Option<&Value>) -> Result<(), Failure> {
        let definition = self.definition();
        let mut errors = admission::validate(definition, new, old);
        errors.extend(definition.schema().validate(new, old));
        errors.extend(new_finalizers(new, old));
        if errors.is_empty() {
            return Ok(());
        }
        Err(Failure::invalid(definition, object::name(new), &errors))
    }

    fn with_admission<T>(&self, act: impl FnOnce(&admission::Context<'_>) -> T) -> T {
        let served = self.server.registry.served();
        let services = || -> Vec<Value> {
            let Some(services) = served.find("", "v1", "services") else { return Vec::new() };
            let page = self.server.store.list(&services.id, &Range::default());
            page.map(|page| page.objects.iter().map(|o| o.value()).collect()).unwrap_or_default()
        };
        let context = admission::Context {
            now: self.server.now(),
            served: &served.definitions,
            cluster_ip_taken: &|address| {
                services()
                    .iter()
                    .any(|s| s.pointer("/spec/clusterIP").and_then(Value::as_str) == Some(address))
            },
            node_port_taken: &|port| {
                services().iter().any(|service| {
                    let ports = service.pointer("/spec/ports").and_then(Value::as_array);
                    ports
                        .into_iter()
                        .flatten()
                        .any(|p| p.get("nodePort").and_then(Value::as_u64) == Some(port.into()))
                })
            },
        };
        act(&context)
    }
}

/// An object that is going away takes no new finalizers.
fn new_finalizers(new: &Value, old: Option<&Value>) -> Option<FieldError> {
    let old = old.filter(|old| object::is_deleting(old))?;
    let had = object::finalizers(old);
    let added: Vec<&str> =
        object::finalizers(new).into_iter().filter(|f| !had.contains(f)).collect();
    let printed: Vec<String> = added.iter().map(|f| format!("\"{f}\"")).collect();
    (!added.is_empty()).then(|| {
        let text = format!(
            "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
            printed.join(", ")
        );
        FieldError::forbidden("metadata.finalizers", &text)
    })
}
