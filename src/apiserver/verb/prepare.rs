//! From what a client sent to what is stored: unknown fields, what the server itself fills, defaults, generation,
//! ownership of fields, validation.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{
    Call, Part, allocated::Allocated, options::FieldValidation, options::WriteOptions, scale,
};
use crate::apiserver::{
    builtin::{ResourceDefinition, admission, admission::Decision},
    decode::{self, Decoded},
    failure::Failure,
    field, object,
    schema::{FieldError, FieldErrorKind},
    store::Range,
};

/// Why an object is none of the resource's kind.
pub(super) enum WrongKind {
    /// It is refused as it is.
    Refused(Failure),
    /// Go could not read it, with this reason.
    Unread(String),
}

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
    /// Decodes the body as an object of this kind.
    pub(super) fn decode(&self) -> Result<Decoded, Failure> {
        let kind = &self.definition().kind;
        let mut decoded = decode::object(&self.content_type, &self.body)
            .map_err(|error| error.about(kind, &self.body))?;
        let is_untyped = |value: &Value| value.get("kind").is_none_or(|kind| kind == "");
        if !self.definition().builtin && is_untyped(&decoded.value) {
            let (text, summary) =
                (String::from_utf8_lossy(&self.body), decode::summary(&self.body));
            return Err(Failure::bad_request(format!(
                "the object provided is unrecognized (must be of type {kind}): Object 'Kind' is missing in '{text}' \
                 ({summary})"
            )));
        }
        if decoded.value.is_null() {
            decoded.value = json!({});
        }
        Ok(decoded)
    }

    /// Checks that a decoded body is an object of this kind, in this namespace.
    pub(super) fn check_identity(&self, object: &mut Value) -> Result<(), Failure> {
        self.check_kind(object).map_err(|why| match why {
            WrongKind::Refused(failure) => failure,
            WrongKind::Unread(why) => {
                let text = |field: &str| object.get(field).and_then(Value::as_str);
                let api_version = text("apiVersion").unwrap_or_default();
                let version = api_version.rsplit('/').next().unwrap_or_default();
                let (given, kind) = (text("kind").unwrap_or_default(), &self.definition().kind);
                Failure::bad_request(format!(
                    "{given} in version \"{version}\" cannot be handled as a {kind}: {why}"
                ))
            }
        })?;
        admission::check_types(self.definition(), object).map_err(|why| self.unreadable(&why))?;
        object::metadata_mut(object);
        self.check_namespace(object)
    }

    /// Checks the namespace of an object, and fills it in.
    pub(super) fn check_namespace(&self, object: &mut Value) -> Result<(), Failure> {
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

    /// Checks that an object has this resource's kind and version, and fills them in.
    pub(super) fn check_kind(&self, object: &mut Value) -> Result<(), WrongKind> {
        let definition = self.definition();
        let text = |field: &str| object.get(field).and_then(Value::as_str).unwrap_or_default();
        let (api_version, kind) = (text("apiVersion").to_owned(), text("kind").to_owned());
        let expected = definition.api_version();
        let has_kind = kind.is_empty() || kind == definition.kind;
        let has_version = api_version.is_empty() || api_version == expected;
        if has_kind && has_version {
            object["apiVersion"] = expected.into();
            object["kind"] = definition.kind.as_str().into();
            return Ok(());
        }
        if !definition.builtin {
            return Err(WrongKind::Refused(if has_version {
                let why = format!("must be {}", definition.kind);
                let error = FieldError::invalid("kind", &kind.as_str().into(), &why);
                Failure::invalid_kind(&definition.group, &kind, object::name(object), &error)
            } else {
                Failure::bad_request(format!(
                    "the API version in the data ({api_version}) does not match the expected API version ({expected})"
                ))
            }));
        }
        let registered = self.server.registry.served().of_kind(&api_version, &kind).map(Arc::clone);
        let internal = |group: &str| match group.split('.').next() {
            None | Some("") => "core".to_owned(),
            Some(first) => first.to_owned(),
        };
        Err(WrongKind::Unread(match registered.filter(|r| r.definition.builtin) {
            Some(other) => format!(
                "converting ({}.{kind}) to ({}.{}): unknown conversion",
                other.definition.version,
                internal(&definition.group),
                definition.kind
            ),
            None => format!(
                "no kind \"{kind}\" is registered for version \"{api_version}\" in scheme \
                 \"pkg/runtime/scheme.go:111\""
            ),
        }))
    }

    /// 400 for a body that Go could not read as this kind.
    fn unreadable(&self, why: &str) -> Failure {
        let ResourceDefinition { kind, version, .. } = self.definition();
        Failure::bad_request(format!(
            "{kind} in version \"{version}\" cannot be handled as a {kind}: {why}"
        ))
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
        for field in SERVER_METADATA {
            object::set(&mut object, field, Value::Null);
        }
        let mut warnings =
            self.drop_unknown(&mut object, duplicates, options.validation, origin)?;
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
                if self.resource.is("", "Namespace")
                    || self.resource.is("certificates.k8s.io", "CertificateSigningRequest")
                {
                    keep(&mut new, old, "spec");
                }
                new
            }
            Part::Status => {
                let mut kept = old.clone();
                match self.resource.is("certificates.k8s.io", "CertificateSigningRequest") {
                    true => admission::take_decision(&mut kept, &new, Decision::Status),
                    false => keep(&mut kept, &new, "status"),
                }
                object::copy(&mut kept, &new, "managedFields");
                for field in self.metadata_beside_status() {
                    object::copy(&mut kept, &new, field);
                }
                kept
            }
            Part::Finalize => {
                keep(&mut new, old, "status");
                new
            }
            Part::Approval => {
                let mut kept = old.clone();
                object::copy(&mut kept, &new, "managedFields");
                for field in self.metadata_beside_status() {
                    object::copy(&mut kept, &new, field);
                }
                admission::take_decision(&mut kept, &new, Decision::Approval);
                kept
            }
            Part::EphemeralContainers | Part::Resize => {
                let mut kept = old.clone();
                object::copy(&mut kept, &new, "managedFields");
                if part == Part::Resize {
                    admission::take_sizes(&mut kept, &new);
                } else if kept["spec"].is_object() {
                    keep(&mut kept["spec"], &new["spec"], "ephemeralContainers");
                }
                kept
            }
        }
    }

    /// The metadata that may be written together with a status (what the status strategies of kinds do not reset).
    fn metadata_beside_status(&self) -> &'static [&'static str] {
        let definition = self.definition();
        match (definition.builtin, definition.kind.as_str()) {
            (false, _)
            | (
                _,
                "APIService"
                | "CustomResourceDefinition"
                | "FlowSchema"
                | "PriorityLevelConfiguration"
                | "ResourceClaim"
                | "ServiceCIDR"
                | "ValidatingAdmissionPolicy"
                | "VolumeAttachment",
            ) => &[],
            (_, "Deployment") => &["annotations", "finalizers", "ownerReferences"],
            (_, "Pod") => &["annotations", "finalizers", "labels"],
            _ => &["annotations", "finalizers", "labels", "ownerReferences"],
        }
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
        let mut said: Vec<(&String, String)> = duplicates
            .iter()
            .map(|path| (path, format!("duplicate field \"{path}\"")))
            .chain(unknown.iter().map(|path| (path, format!("unknown field \"{path}\""))))
            .collect();
        if self.definition().builtin && !duplicates.is_empty() && !unknown.is_empty() {
            // Go's decoder says what it meets as it meets it; a duplicate is met when it comes again.
            let keys = decode::keys_in_order(&self.body);
            said.sort_by_key(|(path, _)| {
                let mut places = (0..keys.len()).filter(|at| keys[*at] == **path);
                let first = places.next();
                if duplicates.contains(path) { places.next() } else { first }
            });
        }
        let said: Vec<String> = said.into_iter().map(|(_, said)| said).collect();
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

    fn with_admission<T>(&self, act: impl FnOnce(&admission::Context<'_>) -> T) -> T {
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
