//! What a request does to a resource: one file a verb.

mod allocated;
mod bound;
mod create;
mod delete;
mod escalation;
mod get;
mod graceful;
mod isolate;
mod judged;
mod list;
mod options;
mod patch;
mod pod;
mod prepare;
mod present;
mod question;
mod review;
mod scale;
mod selection;
mod sent;
mod token;
mod update;
mod watch;

use std::sync::Arc;

use bytes::Bytes;
use http::Method;

pub(super) use self::delete::{Deletion, Propagation, delete, delete_all};
use super::{
    accept::Accept,
    answer::Answer,
    builtin::{ResourceDefinition, Verb},
    failure::Failure,
    query::Query,
    registry::Resource,
    server::Server,
    store::Key,
    user::User,
};

/// A request for objects.
#[derive(Clone)]
pub(super) struct Call {
    pub server: Arc<Server>,
    pub resource: Arc<Resource>,
    pub user: User,
    /// The namespace in the path.
    pub namespace: Option<String>,
    pub name: Option<String>,
    pub subresource: Option<String>,
    pub is_watch_path: bool,
    pub method: Method,
    pub query: Query,
    pub accept: Accept,
    pub content_type: String,
    pub user_agent: String,
    pub body: Bytes,
}

/// The part of an object that a request is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// All but the parts below.
    Main,
    /// `status`.
    Status,
    /// The numbers of replicas, as a `Scale`.
    Scale,
    /// A namespace's own finalizers.
    Finalize,
    /// The containers that look at a running pod.
    EphemeralContainers,
    /// The resources of a pod's containers.
    Resize,
    /// Whether a request for a certificate is approved.
    Approval,
}

impl Part {
    /// The name in managed fields; none for the main resource.
    fn subresource(self) -> Option<&'static str> {
        match self {
            Part::Main => None,
            Part::Status => Some("status"),
            Part::Scale => Some("scale"),
            Part::Finalize => Some("finalize"),
            Part::EphemeralContainers => Some("ephemeralcontainers"),
            Part::Resize => Some("resize"),
            Part::Approval => Some("approval"),
        }
    }
}

/// Fulfils a request, or says why not.
pub(super) async fn answer(call: &Call) -> Answer {
    let result = match dispatch(call).await {
        Ok(answer) => answer,
        Err(failure) => failure.into(),
    };
    result.warn_first(call.definition().deprecation_warning.clone())
}

async fn dispatch(call: &Call) -> Result<Answer, Failure> {
    let definition = call.definition();
    let is_placed = match (definition.namespaced, &call.namespace, &call.name) {
        (true, None, Some(_)) => call.is_watch_path,
        (false, Some(_), _) => false,
        _ => true,
    };
    if !is_placed {
        return call.nowhere();
    }
    let Some(name) = &call.name else { return collection(call).await };
    if call.is_watch_path {
        if !call.reads() {
            return Err(Failure::method_not_allowed(definition, verb_of(&call.method)));
        }
        call.need(Verb::Watch)?;
        return watch::watch(call);
    }
    if let Some(part) = &call.subresource
        && let Some(answer) = pod::part(call, name, part).await
    {
        return answer;
    }
    if let Some(part) = &call.subresource
        && let Some(answer) = token::part(call, name, part)
    {
        return answer;
    }
    let Some(part) = call.part() else {
        return match definition.builtin {
            true => call.nowhere(),
            false => Err(Failure::not_found(definition, name)),
        };
    };
    match call.method {
        _ if call.reads() && part != Part::Finalize => {
            call.need(Verb::Get)?;
            get::get(call, name, part)
        }
        Method::PUT => {
            call.need(Verb::Update)?;
            update::update(call, name, part).await
        }
        Method::PATCH if part != Part::Finalize => {
            call.need(Verb::Patch)?;
            patch::patch(call, name, part).await
        }
        Method::DELETE if part == Part::Main => {
            call.need(Verb::Delete)?;
            delete::one(call, name).await
        }
        _ => Err(Failure::method_not_allowed(definition, verb_of(&call.method))),
    }
}

/// What a method does, by the name of its verb.
fn verb_of(method: &Method) -> &'static str {
    match *method {
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        _ => "get",
    }
}

async fn collection(call: &Call) -> Result<Answer, Failure> {
    let definition = call.definition();
    match call.method {
        _ if call.reads() && (call.is_watch_path || call.query.is_on("watch")) => {
            call.need(Verb::Watch)?;
            watch::watch(call)
        }
        _ if call.reads() => {
            call.need(Verb::List)?;
            list::list(call)
        }
        Method::POST if call.namespace.is_some() || !definition.namespaced => {
            call.need(Verb::Create)?;
            if call.resource.is("", "Binding") {
                return pod::bind_named(call).await;
            }
            create::create(call).await
        }
        Method::DELETE if call.namespace.is_some() || !definition.namespaced => {
            call.need(Verb::DeleteCollection)?;
            delete::collection(call).await
        }
        Method::POST | Method::DELETE if !definition.builtin => Ok(Answer::no_page()),
        Method::PUT | Method::PATCH if !definition.builtin => {
            Err(Failure::bad_request("name must be provided"))
        }
        _ => Err(Failure::method_not_allowed(definition, verb_of(&call.method))),
    }
}

impl Call {
    /// Answers a path that leads nowhere.
    fn nowhere(&self) -> Result<Answer, Failure> {
        if self.definition().builtin {
            Err(Failure::no_such_resource())
        } else {
            Ok(Answer::no_page())
        }
    }

    fn definition(&self) -> &ResourceDefinition {
        &self.resource.definition
    }

    /// The namespace in the path; empty for cluster-scoped resources.
    fn namespace(&self) -> &str {
        self.namespace.as_deref().unwrap_or_default()
    }

    /// Whether it asks for what there is. Built-in resources are not asked by HEAD.
    fn reads(&self) -> bool {
        self.method == Method::GET || self.method == Method::HEAD && !self.definition().builtin
    }

    fn key(&self, name: &str) -> Key {
        Key::new(&self.resource.id, self.namespace(), name)
    }

    fn need(&self, verb: Verb) -> Result<(), Failure> {
        if self.definition().allows(verb) {
            Ok(())
        } else {
            Err(Failure::method_not_allowed(self.definition(), verb.name()))
        }
    }

    fn part(&self) -> Option<Part> {
        let definition = self.definition();
        match self.subresource.as_deref() {
            None => Some(Part::Main),
            Some("status") if definition.status => Some(Part::Status),
            Some("scale") if definition.scale.is_some() => Some(Part::Scale),
            Some("finalize") if self.resource.is("", "Namespace") => Some(Part::Finalize),
            Some("ephemeralcontainers") if self.resource.is("", "Pod") => {
                Some(Part::EphemeralContainers)
            }
            Some("approval")
                if self.resource.is("certificates.k8s.io", "CertificateSigningRequest") =>
            {
                Some(Part::Approval)
            }
            Some("resize") if self.resource.is("", "Pod") => Some(Part::Resize),
            Some(_) => None,
        }
    }
}
