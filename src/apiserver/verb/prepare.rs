//! From what a client sent to what is stored: unknown fields, what the server itself fills, defaults, generation,
//! ownership of fields, validation.

use serde_json::{Map, Value};
use uuid::Uuid;

use super::{
    Call, Part, allocated::Allocated, options::FieldValidation, options::WriteOptions, scale,
};
use crate::apiserver::{
    builtin::{admission, admission::Decision},
    failure::Failure,
    field,
    json::{self, Decoded, Duplicate},
    object,
    schema::{FieldError, FieldErrorKind},
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
const SERVER_METADATA: [&str; 6] = [
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "selfLink",
    "resourceVersion",
];

impl Call {
    /// Makes `object` what is stored for a create, and what a client may be warned of.
    pub(super) fn prepare_new(
        &self,
        mut object: Value,
        duplicates: &[Duplicate],
        options: &WriteOptions,
        origin: Origin,
    ) -> Result<(Value, Vec<String>), Failure> {
        let definition = self.definition();
        let now = self.server.now();
        for field in SERVER_METADATA {
            object::set(&mut object, field, Value::Null);
        }
        let mut warnings =
            self.drop_unknown(&mut object, duplicates, options.validation, origin)?;
        self.check_escalation(&object, None)?;
        // Nodes come with their status.
        if definition.status
            && !self.resource.is("", "Node")
            && let Some(fields) = object.as_object_mut()
        {
            fields.remove("status");
        }
        object::set(&mut object, "uid", Uuid::new_v4().to_string().into());
        object::set(&mut object, "creationTimestamp", object::time(now).into());
        if self.resource.counts_generations() && !self.resource.is("storage.k8s.io", "CSIDriver") {
            object::set(&mut object, "generation", 1.into());
        }
        let allocated = Allocated::of(definition, &object);
        let forbidden = self.with_admission(|context| {
            let forbidden = admission::forbids(definition, &object, context);
            admission::prepare_create(definition, &mut object, context);
            forbidden
        });
        if let Some(why) = forbidden {
            return Err(Failure::forbidden(definition, object::name(&object), &why));
        }
        self.apply_defaults(&mut object, origin);
        if origin != Origin::Apply {
            // What is allocated comes after ownership is settled, and is nobody's.
            let allocated = allocated.take_from(&mut object);
            let (manager, schema) = (&options.manager, definition.schema());
            field::track_update(None, &mut object, manager, None, schema, now);
            allocated.give_back(&mut object);
        }
        let ranges = self.limit_ranges();
        if !ranges.is_empty() {
            // What they add is nobody's.
            admission::limit(definition, &mut object, &ranges);
        }
        if let Err(failure) = self.validate(&object, None, Part::Main) {
            return Err(failure.warn(warnings));
        }
        warnings.extend(admission::warnings(definition, &object, None));
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
        self.check_metadata(old, &new, origin)?;
        let mut warnings = self.drop_unknown(&mut new, &duplicates, options.validation, origin)?;
        for field in SERVER_METADATA.into_iter().chain(["generation"]) {
            object::copy(&mut new, old, field);
        }
        let mut new = self.isolate(old, new, part);
        let allocated = Allocated::of(definition, &new);
        self.with_admission(|context| {
            admission::prepare_update(definition, old, &mut new, context)
        });
        self.apply_defaults(&mut new, origin);
        self.check_escalation(&new, Some(old))?;
        if self.resource.counts_generations() && self.asks_differently(old, &new) {
            let generation =
                object::metadata(old, "generation").and_then(Value::as_i64).unwrap_or(0);
            object::set(&mut new, "generation", (generation + 1).into());
        }
        // Who scales owns the number only where somebody owned it before: a Scale shows no other owners.
        let tracks = part != Part::Scale || self.owns_replicas(old);
        if !tracks {
            object::copy(&mut new, old, "managedFields");
        } else if origin != Origin::Apply {
            let allocated = allocated.take_from(&mut new);
            let (manager, subresource) = (&options.manager, part.subresource());
            field::track_update(
                Some(old),
                &mut new,
                manager,
                subresource,
                definition.schema(),
                now,
            );
            allocated.give_back(&mut new);
        }
        if new != *old
            && let Err(failure) = self.validate(&new, Some(old), part)
        {
            return Err(failure.warn(warnings));
        }
        warnings.extend(admission::warnings(definition, &new, Some(old)));
        Ok((new, warnings))
    }

    /// Fills defaults. What server-side apply merged keeps its `null`s.
    fn apply_defaults(&self, object: &mut Value, origin: Origin) {
        let schema = self.definition().schema();
        if origin == Origin::Apply {
            schema.fill_defaults(object);
        } else {
            schema.apply_defaults(object);
        }
    }

    /// Refuses other identities and times of deletion than the stored ones.
    fn check_metadata(&self, old: &Value, new: &Value, origin: Origin) -> Result<(), Failure> {
        let definition = self.definition();
        let name = object::name(old);
        let (had, given) = (object::text(old, "uid"), object::text(new, "uid"));
        let mut errors = Vec::new();
        let mut immutable = |field: &str, given: &Value| {
            let path = format!("metadata.{field}");
            errors.push(FieldError::invalid(path, given, "field is immutable"));
        };
        if !given.is_empty() && given != had {
            if origin == Origin::Body {
                let (plural, namespace) = (&definition.plural, self.namespace());
                let why = format!(
                    "StorageError: invalid object, Code: 4, Key: /registry/{plural}/{namespace}/{name}, ResourceVersion: 0, \
                     AdditionalErrorMsg: Precondition failed: UID in precondition: {given}, UID in object meta: {had}"
                );
                return Err(Failure::conflict(definition, name, &why));
            }
            immutable("uid", &given.into());
        }
        for field in ["deletionTimestamp", "deletionGracePeriodSeconds"] {
            match (object::metadata(old, field), object::metadata(new, field)) {
                (had, Some(given)) if had != Some(given) => immutable(field, given),
                _ => {}
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(Failure::invalid(definition, name, &errors)) }
    }

    /// Whether somebody owns the number of replicas of an object.
    fn owns_replicas(&self, object: &Value) -> bool {
        let Some(scale) = &self.definition().scale else { return false };
        let path: Vec<field::Element> = scale
            .spec_replicas
            .split('.')
            .filter(|step| !step.is_empty())
            .map(|step| field::Element::Field(step.to_owned()))
            .collect();
        let entries = field::read(object).unwrap_or_default();
        entries.iter().any(|entry| entry.fields.has_path(&path))
    }

    /// Whether more than metadata and status changed.
    fn asks_differently(&self, old: &Value, new: &Value) -> bool {
        let (Some(old), Some(new)) = (old.as_object(), new.as_object()) else { return false };
        let counts =
            |field: &str| field != "metadata" && !(field == "status" && self.definition().status);
        let changed =
            old.iter().any(|(field, value)| counts(field) && new.get(field) != Some(value));
        let annotations = |object: &Map<String, Value>| {
            object.get("metadata").and_then(|metadata| metadata.get("annotations")).cloned()
        };
        // Its controller hands a Deployment's annotations on.
        let hands_on = self.definition().builtin && self.definition().kind == "Deployment";
        let labels = |object: &Map<String, Value>| {
            object.get("metadata").and_then(|metadata| metadata.get("labels")).cloned()
        };
        let is_labelled = self.resource.is("discovery.k8s.io", "EndpointSlice");
        changed
            || new.keys().any(|field| counts(field) && !old.contains_key(field))
            || (hands_on && annotations(old) != annotations(new))
            || (is_labelled && labels(old) != labels(new))
    }

    /// Drops what the schema does not know, and says so as the client wishes.
    pub(super) fn drop_unknown(
        &self,
        object: &mut Value,
        duplicates: &[Duplicate],
        validation: FieldValidation,
        origin: Origin,
    ) -> Result<Vec<String>, Failure> {
        let before = (validation == FieldValidation::Strict && origin == Origin::Patch)
            .then(|| object.clone());
        let unknown = self.definition().schema().prune(object);
        let (lines, twice): (Vec<&Duplicate>, Vec<&Duplicate>) =
            duplicates.iter().partition(|duplicate| matches!(duplicate, Duplicate::Line(_)));
        let texts = |of: Vec<&Duplicate>| -> Vec<String> {
            let text = |duplicate: &Duplicate| match duplicate {
                Duplicate::At(text) | Duplicate::Line(text) => text.clone(),
            };
            of.into_iter().map(text).collect()
        };
        let (mut said, twice) = (texts(lines), texts(twice));
        if origin == Origin::Apply && validation == FieldValidation::Strict && !said.is_empty() {
            let lines = said.join("\n  ");
            return Err(Failure::bad_request(format!(
                "error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n  {lines}"
            )));
        }
        if validation == FieldValidation::Strict && !said.is_empty() {
            said = vec![format!("yaml: unmarshal errors:\n  {}", said.join("\n  "))];
        }
        said.extend(self.unfit_fields(&twice, &unknown));
        match (validation, before) {
            _ if said.is_empty() => Ok(Vec::new()),
            (FieldValidation::Ignore, _) => Ok(Vec::new()),
            (FieldValidation::Warn, _) => Ok(said),
            (FieldValidation::Strict, before) => {
                let message = format!("strict decoding error: {}", said.join(", "));
                Err(match before {
                    Some(patched) => self.unfit(&patched, &message),
                    None => self.unreadable(&message),
                })
            }
        }
    }

    /// What is said of fields that are there twice, and of those that nobody knows.
    fn unfit_fields(&self, twice: &[String], unknown: &[String]) -> Vec<String> {
        let mut said: Vec<(&String, String)> = twice
            .iter()
            .map(|path| (path, format!("duplicate field \"{path}\"")))
            .chain(unknown.iter().map(|path| (path, format!("unknown field \"{path}\""))))
            .collect();
        if self.definition().builtin && !twice.is_empty() && !unknown.is_empty() {
            // Go's decoder says what it meets as it meets it; a duplicate is met when it comes again.
            let keys = json::keys_in_order(&self.body);
            said.sort_by_key(|(path, _)| {
                let mut places = (0..keys.len()).filter(|at| keys[*at] == **path);
                let first = places.next();
                if twice.contains(path) { places.next() } else { first }
            });
        }
        said.into_iter().map(|(_, said)| said).collect()
    }

    fn validate(&self, new: &Value, old: Option<&Value>, part: Part) -> Result<(), Failure> {
        let definition = self.definition();
        let mut errors = match (part, old) {
            (Part::EphemeralContainers, Some(old)) => admission::validate_debugging(new, old),
            (Part::Resize, Some(old)) => admission::validate_resize(new, old),
            (Part::Approval, Some(old)) => {
                admission::validate_decision(new, old, Decision::Approval)
            }
            (Part::Status, Some(old))
                if self.resource.is("certificates.k8s.io", "CertificateSigningRequest") =>
            {
                admission::validate_decision(new, old, Decision::Status)
            }
            _ => admission::validate(definition, new, old),
        };
        let beside = scale::validate(definition, new);
        let mut of_schema = definition.schema().validate_beside(new, old, beside);
        if definition.builtin {
            // Whether a list may say something twice is a matter of a built-in kind's own rules.
            of_schema.retain(|error| {
                error.kind != FieldErrorKind::Duplicate
                    && !admission::judges_itself(definition, &error.path)
            });
        }
        errors.extend(of_schema);
        errors.extend(new_finalizers(new, old));
        if errors.is_empty() {
            return Ok(());
        }
        Err(Failure::invalid(definition, object::name(new), &errors))
    }

    pub(super) fn with_admission<T>(&self, act: impl FnOnce(&admission::Context<'_>) -> T) -> T {
        let served = self.server.registry.served();
        let services = || -> Vec<Value> {
            let Some(services) = served.find("", "v1", "services") else { return Vec::new() };
            let page = self.server.store.list(&services.id, &Range::default());
            page.map(|page| page.objects.iter().map(|o| o.value()).collect()).unwrap_or_default()
        };
        let classes = || -> Vec<Value> {
            let Some(of) = served.find("scheduling.k8s.io", "v1", "priorityclasses") else {
                return Vec::new();
            };
            let page = self.server.store.list(&of.id, &Range::default());
            page.map(|page| page.objects.iter().map(|o| o.value()).collect()).unwrap_or_default()
        };
        let context = admission::Context {
            now: self.server.now(),
            user: &self.user,
            priority_class: &|name| match name {
                "" => classes().into_iter().find(|class| class["globalDefault"] == true),
                name => {
                    let found = classes().into_iter().find(|class| object::name(class) == name);
                    found.or_else(|| admission::system_priority(name))
                }
            },
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
