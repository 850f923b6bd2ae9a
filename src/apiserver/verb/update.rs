//! PUT of one object.

use http::StatusCode;
use serde_json::Value;

use super::{Call, Part, create::Made, options::WriteOptions, prepare::Origin, scale};
use crate::apiserver::{
    answer::Answer,
    failure::Failure,
    json::Decoded,
    object,
    store::{CommitError, Key, Stored, Write},
};

pub(super) async fn update(call: &Call, name: &str, part: Part) -> Result<Answer, Failure> {
    let options = call.write_options("UpdateOptions")?;
    let definition = call.definition();
    let sent = call.decode()?;
    let key = call.key(name);
    loop {
        let Some(stored) = call.server.store.get(&key) else {
            if part != Part::Main || !call.creates_on_update() {
                return Err(Failure::not_found(definition, name));
            }
            let mut new = sent.value.clone();
            call.check_identity(&mut new)?;
            check_name(&new, name)?;
            match call.create_object(new, &sent.duplicates, &options, Origin::Body).await {
                Err(failure) if failure.is_already_exists() => continue,
                made => return made?.answer(call, StatusCode::CREATED),
            }
        };
        let old = call.resource.read(&stored);
        let mut new = Decoded { value: sent.value.clone(), duplicates: sent.duplicates.clone() };
        if part == Part::Scale {
            new.value = scale::write(definition, &old, &new.value)?;
        } else {
            call.check_identity(&mut new.value)?;
        }
        check_name(&new.value, name)?;
        if let Some(given) = object::metadata(&new.value, "resourceVersion").and_then(Value::as_str)
            && !given.is_empty()
            && given.parse::<u64>().is_err()
        {
            let why = format!("strconv.ParseUint: parsing \"{given}\": invalid syntax");
            return Err(Failure::faulty(why));
        }
        let seen = object::revision(&new.value).filter(|revision| *revision != 0);
        if seen.is_none() && !call.takes_unconditional_updates() {
            return Err(Failure::unversioned(definition, name));
        }
        if seen.is_some_and(|seen| seen != stored.revision) {
            return Err(Failure::modified(definition, name));
        }
        let prepared = call.prepare_change(&old, new, part, &options, Origin::Body)?;
        match call.replace(&key, &stored, &old, prepared, part, &options).await {
            Ok(made) => return scale::or_whole(call, part, made, StatusCode::OK),
            Err(Unstored::Stale) if seen.is_none() => {}
            Err(Unstored::Stale) => return Err(Failure::modified(definition, name)),
            Err(Unstored::Failed(failure)) => return Err(failure),
        }
    }
}

pub(super) fn check_name(object: &Value, name: &str) -> Result<(), Failure> {
    match object::name(object) {
        given if given == name => Ok(()),
        "" => Err(Failure::bad_request(format!(
            "the name of the object ({name} based on URL) was undeterminable: name must be provided"
        ))),
        given => Err(Failure::bad_request(format!(
            "the name of the object ({given}) does not match the name on the URL ({name})"
        ))),
    }
}

/// Why a change was not stored.
pub(super) enum Unstored {
    /// The stored object is another one by now.
    Stale,
    /// It cannot be.
    Failed(Failure),
}

impl Call {
    /// Stores what was prepared in place of `stored`, unless nothing changes, with what its writer is warned of. An object
    /// that waits for its last finalizer goes.
    pub(super) async fn replace(
        &self,
        key: &Key,
        stored: &std::sync::Arc<Stored>,
        old: &Value,
        (new, mut warnings): (Value, Vec<String>),
        part: Part,
        options: &WriteOptions,
    ) -> Result<Made, Unstored> {
        if new == *old {
            return Ok(Made::Stored(std::sync::Arc::clone(stored), warnings));
        }
        let asked = self.ask_policies(&key.name, Some(&new), Some(old), part, options.dry_run);
        warnings.extend(asked.map_err(Unstored::Failed)?);
        let charged = match part {
            Part::Main | Part::Resize => {
                let resizes = part == Part::Resize;
                let charged = self.charge(&new, Some(old), resizes, options.dry_run).await;
                Some(charged.map_err(Unstored::Failed)?)
            }
            _ => None,
        };
        if options.dry_run {
            return Ok(Made::Dry(new, warnings));
        }
        let delete = crate::apiserver::lifecycle::is_done(&self.resource, &new);
        // Whoever lets an object go reads it as it would be, at the version that it had.
        let last = delete.then(|| {
            let mut last = new.clone();
            object::set(&mut last, "resourceVersion", stored.revision.to_string().into());
            last
        });
        // Watches see it as it was, but for its version.
        let object = if delete { stored.value() } else { self.resource.to_stored(new) };
        let write = Write {
            key: key.clone(),
            from: Some(stored.revision),
            object,
            delete,
            relies_on: None,
        };
        match self.server.store.commit(write).await {
            Ok(stored) => Ok(match last {
                Some(last) => Made::Dry(last, warnings),
                None => Made::Stored(stored, warnings),
            }),
            Err(error) => {
                if let Some(charged) = charged {
                    self.settle(charged);
                }
                Err(match error {
                    CommitError::Stale => Unstored::Stale,
                    other => Unstored::Failed(other.into()),
                })
            }
        }
    }

    /// Whether a PUT may leave out the `resourceVersion` (`AllowUnconditionalUpdate` of the kind's strategy).
    pub(super) fn takes_unconditional_updates(&self) -> bool {
        let definition = self.definition();
        definition.builtin
            && definition.group != "admissionregistration.k8s.io"
            && !matches!(
                definition.kind.as_str(),
                "CSIDriver"
                    | "CSINode"
                    | "CSIStorageCapacity"
                    | "CustomResourceDefinition"
                    | "Lease"
                    | "PodDisruptionBudget"
                    | "RuntimeClass"
                    | "VolumeAttachment"
            )
    }

    /// Whether a PUT of an object that is not there makes it (`AllowCreateOnUpdate` of the kind's strategy).
    fn creates_on_update(&self) -> bool {
        let definition = self.definition();
        definition.builtin
            && (definition.group == "rbac.authorization.k8s.io"
                || matches!(
                    definition.kind.as_str(),
                    "Endpoints" | "Event" | "Lease" | "LimitRange" | "RuntimeClass" | "Service"
                ))
    }
}
