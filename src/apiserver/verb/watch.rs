//! GET of a collection with `watch`: what happens, as it happens.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::stream;
use serde_json::{Value, json};
use tokio::{sync::Notify, time::Instant};

use super::{Call, list::forbidden_rule, present::metadata_of, selection::Selection};
use crate::apiserver::{
    accept::{Accept, Form},
    answer::Answer,
    body::Body,
    builtin::table::{self, IncludeObject},
    failure::Failure,
    object,
    registry::Resource,
    schema::FieldError,
    server::Server,
    store::{Change, Event, Outrun, Range, Stored},
};

/// Events that are written in one piece at most, so that a slow reader holds little.
const PIECE: usize = 256;
/// Between bookmarks, as in kube-apiserver.
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);
/// A watch without `timeoutSeconds` lasts this long at least, and at most twice as long.
const LASTS: Duration = Duration::from_secs(30 * 60);
/// On the bookmark after the initial events (KEP-3157).
const INITIAL_EVENTS_END: &str = "k8s.io/initial-events-end";

/// One watch.
struct Watcher {
    server: Arc<Server>,
    resource: Arc<Resource>,
    namespace: Option<String>,
    selection: Selection,
    accept: Accept,
    include: IncludeObject,
    bookmarks: bool,
    /// What is there at the start, if it is wanted.
    initial: Option<Vec<Arc<Stored>>>,
    /// Whether the columns of a table have been told; later rows come without them.
    told_columns: AtomicBool,
    /// Whether the end of the initial events is told.
    tells_end: bool,
    /// Everything up to this revision has been told.
    position: u64,
    bell: Arc<Notify>,
    ends_at: Instant,
    bookmark_at: Instant,
    is_over: bool,
}

pub(super) fn watch(call: &Call) -> Result<Answer, Failure> {
    let selection = call.selection()?;
    let include = call.include_object()?;
    let query = &call.query;
    let bookmarks = query.is_on("allowWatchBookmarks");
    let initial = query.switch("sendInitialEvents");
    check_initial(call, initial, bookmarks)?;
    let from = match query.get("resourceVersion").unwrap_or("0") {
        "0" => None,
        text => {
            Some(text.parse::<u64>().map_err(|_| Failure::invalid_revision(text).of_one_object())?)
        }
    };
    query.limit()?;
    let (server, resource) = (Arc::clone(&call.server), Arc::clone(&call.resource));
    // The bell also makes the resource's history known, so that nothing is missed from here on.
    let bell = server.store.bell(&resource.id);
    let range = Range { namespace: call.namespace.clone(), ..Range::default() };
    let wants_state = initial.unwrap_or(from.is_none());
    let (position, state) = match (from, wants_state) {
        (Some(from), false) => (from, None),
        (_, wanted) => {
            let page = server.store.list(&resource.id, &range);
            let page = page.map_err(|Outrun { oldest }| Failure::too_old(0, oldest))?;
            (page.revision, wanted.then_some(page.objects))
        }
    };
    let now = Instant::now();
    let lasts = match query.number("timeoutSeconds")? {
        Some(seconds) if seconds > 0 => Duration::from_secs(seconds.min(365 * 24 * 3600)),
        _ => LASTS + LASTS.mul_f64(f64::from(uuid::Uuid::new_v4().as_bytes()[0]) / 256.0),
    };
    let watcher = Watcher {
        server,
        resource,
        namespace: call.namespace.clone(),
        selection,
        accept: call.accept,
        include,
        bookmarks,
        initial: state,
        told_columns: AtomicBool::new(false),
        tells_end: initial == Some(true),
        position,
        bell,
        ends_at: now + lasts,
        bookmark_at: now + BOOKMARK_EVERY,
        is_over: false,
    };
    let pieces = stream::unfold(watcher, |mut watcher| async move {
        let piece = watcher.next().await?;
        Some((piece, watcher))
    });
    Ok(Answer::stream(Body::stream(pieces)))
}

/// The rules of `sendInitialEvents` (`metainternalversion/validation.ValidateListOptions`).
fn check_initial(call: &Call, initial: Option<bool>, bookmarks: bool) -> Result<(), Failure> {
    let rule = call.query.get("resourceVersionMatch");
    match (initial, rule) {
        (None, Some(_)) => Err(forbidden_rule(
            "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
        )),
        (Some(_), rule) if rule != Some("NotOlderThan") => {
            let why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
            let mut errors = vec![FieldError::forbidden("resourceVersionMatch", why)];
            let supported = ["NotOlderThan".to_owned()];
            errors.extend(rule.map(|rule| {
                FieldError::not_supported("resourceVersionMatch", &rule.into(), &supported)
            }));
            Err(Failure::invalid_options("ListOptions", &errors))
        }
        (Some(true), _) if !bookmarks => {
            let why = "sendInitialEvents is forbidden for watch unless allowWatchBookmarks is set";
            let error = FieldError::forbidden("sendInitialEvents", why);
            Err(Failure::invalid_options("ListOptions", &[error]))
        }
        _ => Ok(()),
    }
}

impl Watcher {
    /// The next piece; none at the end.
    async fn next(&mut self) -> Option<Bytes> {
        if self.is_over {
            return None;
        }
        if let Some(objects) = self.initial.take() {
            let piece = self.write_initial(&objects);
            if !piece.is_empty() {
                return Some(piece.into());
            }
        }
        let bell = Arc::clone(&self.bell);
        loop {
            let rung = bell.notified();
            match self.news() {
                Ok(piece) if piece.is_empty() => {}
                Ok(piece) => return Some(piece.into()),
                Err(outrun) => {
                    self.is_over = true;
                    return Some(error_event(self.position, outrun));
                }
            }
            let (stop, ended) = (self.server.stop.clone(), self.resource.ended.clone());
            tokio::select! {
                () = rung => {}
                () = ended.cancelled() => {
                    self.is_over = true;
                    // What happened until the definition changed is told to the end.
                    return self.news().ok().filter(|piece| !piece.is_empty()).map(Bytes::from);
                }
                () = stop.cancelled() => return None,
                () = tokio::time::sleep_until(self.ends_at) => {
                    self.is_over = true;
                    return self.bookmarks.then(|| self.bookmark(false).into());
                }
                () = tokio::time::sleep_until(self.bookmark_at), if self.bookmarks => {
                    self.bookmark_at = Instant::now() + BOOKMARK_EVERY;
                    return Some(self.bookmark(false).into());
                }
            }
        }
    }

    fn write_initial(&self, objects: &[Arc<Stored>]) -> Vec<u8> {
        let mut piece = Vec::new();
        for object in objects.iter().filter(|o| self.selection.matches(&self.resource, o)) {
            self.write(&mut piece, "ADDED", object);
        }
        if self.tells_end {
            piece.extend_from_slice(&self.bookmark(true));
        }
        piece
    }

    /// What happened since the last look; empty when nothing that matters did.
    fn news(&mut self) -> Result<Vec<u8>, Outrun> {
        let mut piece = Vec::new();
        loop {
            let current = self.server.store.revision();
            if self.position > current {
                // A client that knows the future knew another store.
                return Err(Outrun { oldest: current });
            }
            let (events, seen) =
                self.server.store.events_after(&self.resource.id, self.position, PIECE)?;
            for event in &events {
                self.tell(&mut piece, event);
            }
            self.position = seen;
            if events.len() < PIECE || !piece.is_empty() {
                return Ok(piece);
            }
        }
    }

    fn tell(&self, piece: &mut Vec<u8>, event: &Event) {
        let wanted = |object: &&Arc<Stored>| {
            self.namespace.as_deref().is_none_or(|n| *object.key.namespace == *n)
                && self.selection.matches(&self.resource, object)
        };
        let current = event.current().filter(wanted);
        let previous = event.previous.as_ref().filter(wanted);
        match (current, previous) {
            (Some(object), Some(_)) => self.write(piece, "MODIFIED", object),
            (Some(object), None) => self.write(piece, "ADDED", object),
            (None, Some(_)) if event.change == Change::Deleted => {
                self.write(piece, "DELETED", &event.object)
            }
            (None, Some(previous)) => {
                // It is there, but no longer selected: gone for this client, as it last saw it.
                let mut object = self.resource.read(previous);
                object::set(&mut object, "resourceVersion", event.revision().to_string().into());
                self.write_value(piece, "DELETED", &object);
            }
            (None, None) => {}
        }
    }

    fn write(&self, piece: &mut Vec<u8>, change: &str, object: &Stored) {
        if self.accept.form == Form::Object && self.resource.reads_as_stored(object) {
            write_event(piece, change, &object.json);
        } else {
            self.write_value(piece, change, &self.resource.read(object));
        }
    }

    fn write_value(&self, piece: &mut Vec<u8>, change: &str, object: &Value) {
        let now = self.server.now();
        let text = match self.accept.form {
            Form::Object => object.to_string(),
            Form::Metadata | Form::MetadataList => metadata_of(object).to_string(),
            Form::Table => {
                let definition = &self.resource.definition;
                let mut table =
                    table::render(&definition.columns, &[object], &Value::Null, self.include, now);
                if self.told_columns.swap(true, Ordering::Relaxed) {
                    table["columnDefinitions"] = Value::Null;
                }
                table.to_string()
            }
        };
        write_event(piece, change, text.as_bytes());
    }

    /// Tells how far the client has seen everything.
    fn bookmark(&self, ends_initial: bool) -> Vec<u8> {
        let definition = &self.resource.definition;
        let (kind, api_version) = match self.accept.form {
            Form::Metadata | Form::MetadataList => {
                ("PartialObjectMetadata", "meta.k8s.io/v1".to_owned())
            }
            _ => (definition.kind.as_str(), definition.api_version()),
        };
        let mut metadata =
            json!({"resourceVersion": self.position.to_string(), "creationTimestamp": null});
        if ends_initial {
            metadata["annotations"] = json!({INITIAL_EVENTS_END: "true"});
        }
        let object = json!({"kind": kind, "apiVersion": api_version, "metadata": metadata});
        let mut piece = Vec::new();
        match self.accept.form {
            // As one row, which has the version and the annotation.
            Form::Table => self.write_value(&mut piece, "BOOKMARK", &object),
            _ => write_event(&mut piece, "BOOKMARK", object.to_string().as_bytes()),
        }
        piece
    }
}

fn write_event(piece: &mut Vec<u8>, change: &str, object: &[u8]) {
    piece.reserve(object.len() + 40);
    piece.extend_from_slice(b"{\"type\":\"");
    piece.extend_from_slice(change.as_bytes());
    piece.extend_from_slice(b"\",\"object\":");
    piece.extend_from_slice(object);
    piece.extend_from_slice(b"}\n");
}

fn error_event(position: u64, outrun: Outrun) -> Bytes {
    let mut piece = Vec::new();
    let status = Failure::too_old(position, outrun.oldest).status();
    write_event(&mut piece, "ERROR", status.to_string().as_bytes());
    piece.into()
}
