//! DELETE of one object and of a collection.

use std::sync::Arc;

use futures::future::join_all;
use http::StatusCode;
use serde_json::{Value, json};

use super::{Call, Part, graceful, list, options::is_dry};
use crate::apiserver::{
    answer::Answer,
    decode::{self, DecodeError},
    failure::Failure,
    lifecycle::{self, FOREGROUND, ORPHAN},
    object,
    registry::Resource,
    schema::FieldError,
    server::Server,
    store::{CommitError, Key, Stored, Write},
};

/// What becomes of the objects that an object owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::apiserver) enum Propagation {
    /// They go after it.
    Background,
    /// They go before it.
    Foreground,
    /// They stay, without an owner.
    Orphan,
}

/// How an object is to be deleted.
#[derive(Debug, Clone, Default)]
pub(in crate::apiserver) struct Deletion {
    /// What becomes of its dependents; what its finalizers already say when absent.
    pub propagation: Option<Propagation>,
    /// Only if it has this uid.
    pub uid: Option<String>,
    /// Only if it is at this revision.
    pub revision: Option<u64>,
    /// How many seconds the object may take to end, where its kind takes time.
    pub grace: Option<i64>,
    /// Do everything but store.
    pub dry_run: bool,
    /// Whether `orphanDependents: false` was said.
    pub asked_not_to_orphan: bool,
}

/// Whether the answer to a deletion is the object (`ReturnDeletedObject` of the kind's storage).
fn returns_deleted(call: &Call) -> bool {
    let definition = call.definition();
    definition.builtin
        && matches!(
            (definition.group.as_str(), definition.kind.as_str()),
            (
                "storage.k8s.io",
                "CSIDriver"
                    | "CSINode"
                    | "StorageClass"
                    | "VolumeAttachment"
                    | "VolumeAttributesClass"
            ) | ("resource.k8s.io", _)
                | (
                    "",
                    "Namespace"
                        | "PersistentVolume"
                        | "PersistentVolumeClaim"
                        | "Pod"
                        | "PodTemplate"
                        | "ResourceQuota"
                        | "Service"
                        | "ServiceAccount"
                )
        )
}

/// Deletes many objects from within, each if it is still the same, and leaves their failures to the log.
pub(in crate::apiserver) async fn delete_all<'s>(
    server: &Server,
    resource: &Resource,
    objects: impl IntoIterator<Item = &'s Arc<Stored>>,
) {
    let objects: Vec<&Arc<Stored>> = objects.into_iter().collect();
    for some in objects.chunks(AT_ONCE) {
        let deletions = some.iter().map(|object| async {
            let deletion = Deletion { uid: Some(object.uid.to_string()), ..Deletion::default() };
            if let Err(failure) = delete(server, resource, &object.key, &deletion).await
                && !failure.is_not_found()
            {
                tracing::debug!(key = %object.key, ?failure, "not deleted");
            }
        });
        join_all(deletions).await;
    }
}

/// What became of an object.
pub(in crate::apiserver) enum Deleted {
    /// It is gone; this is its last state.
    Gone(Arc<Stored>),
    /// It waits for its finalizers.
    Waiting(Arc<Stored>),
    /// It would wait, and look like this.
    WouldWait(Value),
}

/// Most deletions of a collection at a time; together they share transactions of the store.
const AT_ONCE: usize = 64;

pub(super) async fn one(call: &Call, name: &str) -> Result<Answer, Failure> {
    let deletion = deletion(call)?;
    if call.has_policies()
        && let Some(stored) = call.server.store.get(&call.key(name))
    {
        let old = call.resource.read(&stored);
        call.ask_policies(name, None, Some(&old), Part::Main, deletion.dry_run)?;
    }
    let deleted = delete(&call.server, &call.resource, &call.key(name), &deletion).await?;
    // As kube-apiserver, only who asked in the old way is told that more is to come.
    let code = if deletion.asked_not_to_orphan { StatusCode::ACCEPTED } else { StatusCode::OK };
    match deleted {
        Deleted::Waiting(stored) => call.present(code, &stored),
        Deleted::WouldWait(object) => call.present_value(code, &object),
        Deleted::Gone(stored) if returns_deleted(call) => call.present(StatusCode::OK, &stored),
        Deleted::Gone(stored) => {
            let definition = call.definition();
            let mut details = json!({"name": name, "kind": definition.plural, "uid": &*stored.uid});
            if !definition.group.is_empty() {
                details["group"] = definition.group.as_str().into();
            }
            let status = json!({
                "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details,
            });
            Ok(Answer::value(StatusCode::OK, &status, call.accept.text))
        }
    }
}

pub(super) async fn collection(call: &Call) -> Result<Answer, Failure> {
    let deletion = deletion(call)?;
    let selection = call.selection()?;
    let list::Wanted { range, limit } = list::wanted(call)?;
    let page = call.server.store.list(&call.resource.id, &range);
    let page = page.map_err(|_| list::expired(&range))?;
    let (revision, mut objects) = (page.revision, page.objects);
    objects.retain(|object| selection.matches(&call.resource, object));
    let left = objects.len().saturating_sub(limit.unwrap_or(usize::MAX));
    objects.truncate(limit.unwrap_or(usize::MAX));
    let asks = call.has_policies();
    for some in objects.chunks(AT_ONCE) {
        for object in some.iter().filter(|_| asks) {
            let old = call.resource.read(object);
            call.ask_policies(&object.key.name, None, Some(&old), Part::Main, deletion.dry_run)?;
        }
        let deletions =
            some.iter().map(|object| delete(&call.server, &call.resource, &object.key, &deletion));
        for result in join_all(deletions).await {
            match result {
                Err(failure) if !failure.is_not_found() => return Err(failure),
                _ => {}
            }
        }
    }
    let items: Vec<&Arc<Stored>> = objects.iter().collect();
    let mut metadata = serde_json::Map::new();
    metadata.insert("resourceVersion".to_owned(), revision.to_string().into());
    if let Some(last) = items.last().filter(|_| left > 0) {
        metadata.insert("continue".to_owned(), list::continue_after(revision, last).into());
        metadata.insert("remainingItemCount".to_owned(), left.into());
    } else if !call.definition().builtin {
        metadata.insert("continue".to_owned(), "".into());
    }
    call.present_list(metadata, &items)
}

/// Reads DeleteOptions, from the body or else from the query.
fn deletion(call: &Call) -> Result<Deletion, Failure> {
    let options = if call.body.is_empty() {
        let mut options = json!({});
        if let Some(word) = call.query.get("propagationPolicy") {
            options["propagationPolicy"] = word.into();
        }
        if let Some(orphan) = call.query.switch("orphanDependents") {
            options["orphanDependents"] = orphan.into();
        }
        if let Some(seconds) = call.query.get("gracePeriodSeconds")
            && let Ok(seconds) = seconds.parse::<i64>()
        {
            options["gracePeriodSeconds"] = seconds.into();
        }
        options
    } else {
        let options = decode::object(&call.content_type, &call.body).map_err(DecodeError::plain)?;
        check_kind(&options.value)?;
        options.value
    };
    let mut errors = Vec::new();
    let mut dry_run = call.dry_run(&mut errors);
    if let Some(words) = options.get("dryRun").and_then(Value::as_array) {
        dry_run |= is_dry(words, &mut errors);
    }
    if let (Some(both), Some(_)) =
        (options.get("propagationPolicy"), options.get("orphanDependents"))
    {
        let text = "orphanDependents and deletionPropagation cannot be both set";
        errors.push(FieldError::invalid("propagationPolicy", both, text));
    }
    let propagation = match options.get("propagationPolicy").and_then(Value::as_str) {
        None => options
            .get("orphanDependents")
            .and_then(Value::as_bool)
            .map(|orphan| if orphan { Propagation::Orphan } else { Propagation::Background }),
        Some("Background") => Some(Propagation::Background),
        Some("Foreground") => Some(Propagation::Foreground),
        Some("Orphan") => Some(Propagation::Orphan),
        Some(other) => {
            let supported = ["Foreground", "Background", "Orphan", "nil"].map(str::to_owned);
            errors.push(FieldError::not_supported("propagationPolicy", &other.into(), &supported));
            None
        }
    };
    if !errors.is_empty() {
        return Err(Failure::invalid_options("DeleteOptions", &errors));
    }
    let precondition =
        |field: &str| options.pointer(&format!("/preconditions/{field}")).and_then(Value::as_str);
    Ok(Deletion {
        propagation,
        uid: precondition("uid").map(str::to_owned),
        revision: precondition("resourceVersion").map(|text| text.parse().unwrap_or(0)),
        grace: options.get("gracePeriodSeconds").and_then(Value::as_i64),
        dry_run,
        asked_not_to_orphan: options.get("orphanDependents") == Some(&Value::Bool(false)),
    })
}

/// What describes a deletion is called so, in whatever group it was sent.
fn check_kind(options: &Value) -> Result<(), Failure> {
    let text = |field: &str| options.get(field).and_then(Value::as_str).unwrap_or_default();
    let kind = text("kind");
    if kind.is_empty() || kind == "DeleteOptions" {
        return Ok(());
    }
    Err(Failure::bad_request(format!(
        "no kind \"{kind}\" is registered for version \"{}\" in scheme \"pkg/runtime/scheme.go:111\"",
        text("apiVersion")
    )))
}

/// Deletes an object, or marks it when finalizers hold it.
pub(in crate::apiserver) async fn delete(
    server: &Server,
    resource: &Resource,
    key: &Key,
    deletion: &Deletion,
) -> Result<Deleted, Failure> {
    let definition = &resource.definition;
    lifecycle::may_go(resource, &key.name)?;
    if graceful::takes_time(resource) {
        return graceful::delete(server, resource, key, deletion).await;
    }
    loop {
        let stored =
            server.store.get(key).ok_or_else(|| Failure::not_found(definition, &key.name))?;
        check_preconditions(resource, &stored, deletion)?;
        let mut last = stored.value();
        let changed = mark(server, resource, &mut last, deletion.propagation);
        let gone = lifecycle::is_done(resource, &last);
        if !gone && !changed {
            return Ok(Deleted::Waiting(stored));
        }
        if deletion.dry_run {
            return Ok(if gone { Deleted::Gone(stored) } else { Deleted::WouldWait(last) });
        }
        // An object that goes at once is seen as it was, but for its version.
        let object = if gone && !stored.deleting { stored.value() } else { last };
        let write = Write {
            key: key.clone(),
            from: Some(stored.revision),
            object,
            delete: gone,
            relies_on: None,
        };
        match server.store.commit(write).await {
            Ok(stored) if gone => return Ok(Deleted::Gone(stored)),
            Ok(stored) => return Ok(Deleted::Waiting(stored)),
            Err(CommitError::Stale) => {}
            Err(other) => return Err(other.into()),
        }
    }
}

pub(super) fn check_preconditions(
    resource: &Resource,
    stored: &Stored,
    deletion: &Deletion,
) -> Result<(), Failure> {
    let refuse = |what: &str, wanted: &str, is: &str, why: &str| {
        let why = format!(
            "the {what} in the precondition ({wanted}) does not match the {what} in record ({is}). The object might have been \
             {why}"
        );
        Failure::precondition(&resource.definition, &stored.key.name, &why)
    };
    match (&deletion.uid, deletion.revision) {
        (Some(uid), _) if **uid != *stored.uid => {
            Err(refuse("UID", uid, &stored.uid, "deleted and then recreated"))
        }
        (_, Some(revision)) if revision != stored.revision => {
            let (wanted, is) = (revision.to_string(), stored.revision.to_string());
            Err(refuse("ResourceVersion", &wanted, &is, "modified"))
        }
        _ => Ok(()),
    }
}

/// Marks an object as going away, with the finalizers of its propagation. Answers whether anything changed.
fn mark(
    server: &Server,
    resource: &Resource,
    object: &mut Value,
    propagation: Option<Propagation>,
) -> bool {
    let before = object.clone();
    set_propagation(object, propagation);
    if !object::is_deleting(object) {
        let now = object::time(server.now());
        object::set(object, "deletionTimestamp", now.as_str().into());
        if lifecycle::protect(resource, object, &now) {
            return true;
        }
        if resource.is("", "Namespace") {
            object["status"]["phase"] = "Terminating".into();
        } else {
            object::set(object, "deletionGracePeriodSeconds", 0.into());
        }
        if let Some(generation) = object::metadata(object, "generation").and_then(Value::as_i64) {
            object::set(object, "generation", (generation + 1).into());
        }
    }
    *object != before
}

/// Gives an object the finalizers of a propagation.
pub(super) fn set_propagation(object: &mut Value, propagation: Option<Propagation>) {
    let Some(propagation) = propagation else { return };
    let mut finalizers: Vec<String> =
        object::finalizers(object).into_iter().map(str::to_owned).collect();
    let wanted = match propagation {
        Propagation::Background => None,
        Propagation::Foreground => Some(FOREGROUND),
        Propagation::Orphan => Some(ORPHAN),
    };
    finalizers.retain(|f| (f != FOREGROUND && f != ORPHAN) || Some(f.as_str()) == wanted);
    if let Some(wanted) = wanted.filter(|wanted| !finalizers.iter().any(|f| f == wanted)) {
        finalizers.push(wanted.to_owned());
    }
    let names: Vec<&str> = finalizers.iter().map(String::as_str).collect();
    object::set_finalizers(object, &names);
}
