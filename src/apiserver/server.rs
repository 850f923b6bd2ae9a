//! The server: what it holds, how it starts and ends, and a request's way to its answer.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response, header, request::Parts};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::{
    accept::Accept,
    access,
    answer::Answer,
    authenticate::{self, Credentials},
    body::Body,
    builtin, document,
    failure::Failure,
    lifecycle,
    options::{OpenError, Options, StoreKind},
    query::Query,
    registry::Registry,
    route::{self, Route},
    signing::SigningKey,
    store::{Bounds, Key, Observer, Store},
    user::User,
    verb::{self, Call},
};

/// A Kubernetes API server, as a tower service. Clones are the same server.
///
/// It runs on the Tokio runtime that opened it, and ends when the last clone is dropped or after
/// [`ApiServer::shutdown`].
#[derive(Clone)]
pub struct ApiServer {
    server: Arc<Server>,
    /// Ends background work and watches when the last clone is gone.
    _guard: Arc<tokio_util::sync::DropGuard>,
}

/// What all requests share.
pub(super) struct Server {
    pub store: Store,
    pub registry: Arc<Registry>,
    pub stop: CancellationToken,
    pub credentials: Credentials,
    feeder: lifecycle::Feeder,
    /// The authority that signed the server's certificate, in PEM, once namespaces get what pods rely on.
    pub authority: OnceLock<String>,
    clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
}

/// Bytes that a request's body may have, as kube-apiserver limits it.
const MAX_BODY: usize = 3 << 20;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl ApiServer {
    /// Starts a server on its store, with everything that was in it.
    ///
    /// # Errors
    /// [`OpenError`] when the store cannot be used: in use by another process, not readable, of another format.
    pub async fn open(options: Options) -> Result<ApiServer, OpenError> {
        let bounds =
            Bounds { events: options.watch_history.max(1), bytes: options.watch_history_bytes };
        let registry = Arc::new(Registry::new(builtin::catalog()));
        let (feeder, feed) = lifecycle::feed();
        let observer = observer(Arc::clone(&registry), feeder.clone());
        let (store, key) = match &options.store {
            StoreKind::Memory => (Store::memory(bounds, observer), SigningKey::generate()?),
            StoreKind::File(path) => {
                let store = Store::file(path, bounds, observer)?;
                // Tokens outlive the process as the accounts do that they are for.
                (store, SigningKey::open(&path.with_extension("key"))?)
            }
        };
        registry.restore(&store);
        let stop = CancellationToken::new();
        let server = Arc::new(Server {
            store,
            registry,
            stop: stop.clone(),
            credentials: Credentials::new(key),
            feeder,
            authority: OnceLock::new(),
            clock: options.clock,
        });
        lifecycle::start(&server, feed).await?;
        Ok(ApiServer { server, _guard: Arc::new(stop.drop_guard()) })
    }

    /// From now on every namespace has what pods rely on: the service account `default`, and a ConfigMap with the
    /// authority that signed the server's certificate, in PEM.
    pub fn furnish(&self, authority: &str) {
        if self.server.authority.set(authority.to_owned()).is_ok() {
            self.server.feeder.tell_anything();
        }
    }

    /// From now on everybody who shows `token` may do everything.
    pub(super) fn accept(&self, token: &str) {
        self.server.credentials.accept(token);
    }

    /// Ends watches and background work, and returns when everything accepted is written. Later writes are refused.
    pub async fn shutdown(self) {
        self.server.stop.cancel();
        let server = Arc::clone(&self.server);
        // The writer's thread is waited for, which must not hold up the runtime.
        let closed = tokio::task::spawn_blocking(move || server.store.close()).await;
        if closed.is_err() {
            tracing::error!("the store did not close");
        }
    }

    async fn answer<B>(server: Arc<Server>, request: Request<B>) -> Answer
    where
        B: http_body::Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        let (parts, body) = request.into_parts();
        let route = route::parse(parts.uri.path());
        let user = match admitted(&server, route.as_ref(), &parts) {
            Ok(user) => user,
            Err(failure) => return failure.into(),
        };
        let Some(route) = route else { return Answer::no_page() };
        let Route::Resource(path) = route else { return document::answer(&server, &route, &parts) };
        let decoded_name = path.name.map(super::query::decode_path);
        let served = server.registry.served();
        let Some(resource) = served.find(path.group, path.version, path.plural) else {
            return match served.has_builtin(path.group, path.version) {
                true => Failure::no_such_resource().into(),
                false => Answer::no_page(),
            };
        };
        let resource = Arc::clone(resource);
        let body = match read(body).await {
            Ok(body) => body,
            Err(failure) => return failure.into(),
        };
        let query = Query::parse(parts.uri.query().unwrap_or_default());
        let text = |name: header::HeaderName| header_text(&parts, &name).to_owned();
        let accept = match Accept::choose(header_text(&parts, &header::ACCEPT)) {
            Ok(accept) => accept,
            Err(failure) => return failure.into(),
        };
        let call = Call {
            namespace: path.namespace.map(super::query::decode_path),
            name: decoded_name,
            subresource: path.subresource.map(str::to_owned),
            is_watch_path: path.watch,
            content_type: media_type(&text(header::CONTENT_TYPE)),
            user_agent: text(header::USER_AGENT),
            method: parts.method.clone(),
            server: Arc::clone(&server),
            resource,
            user,
            query,
            accept,
            body,
        };
        verb::answer(&call).await
    }
}

impl std::fmt::Debug for ApiServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiServer").field("revision", &self.server.store.revision()).finish()
    }
}

impl<B> tower::Service<Request<B>> for ApiServer
where
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let server = Arc::clone(&self.server);
        let agent = request.headers().get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
        let query = Query::parse(request.uri().query().unwrap_or_default());
        let indented = query.wants_indented(agent.unwrap_or_default());
        let method = request.method().clone();
        Box::pin(async move {
            let answer = ApiServer::answer(server, request).await;
            Ok(if indented { answer.indented() } else { answer }.into_response_to(&method))
        })
    }
}

impl Server {
    /// The present time.
    pub(super) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// Has everything looked at that may have something left to do.
    pub(super) fn look_at_everything_again(&self) {
        self.feeder.tell_anything();
    }

    /// Has the quotas of a namespace counted again.
    pub(super) fn recount(&self, namespace: &str) {
        self.feeder.tell_uncounted(namespace);
    }

    /// The stored namespace object, and its revision.
    pub(super) fn namespace(&self, name: &str) -> Option<Arc<super::store::Stored>> {
        let served = self.registry.served();
        let namespaces = served.find("", "v1", "namespaces")?;
        self.store.get(&Key::new(&namespaces.id, "", name))
    }
}

/// Who makes a request, or in whose name it is made, if that one may make it. Requests of this process have no token, and
/// may do everything.
fn admitted(server: &Server, route: Option<&Route<'_>>, parts: &Parts) -> Result<User, Failure> {
    let shown = match authenticate::bearer(&parts.headers) {
        None => User::admin(),
        Some(token) => {
            authenticate::authenticate(server, token, &[])
                .map_err(|_| Failure::unauthorized())?
                .user
        }
    };
    let user = match User::named_in(&parts.headers)? {
        None => shown,
        Some(other) => {
            access::may_stand_in(server, &shown, &other, route, parts)?;
            other.with_implied_groups()
        }
    };
    access::admit(server, &user, route, parts)?;
    Ok(user)
}

/// Keeps what is served in step with the stored definitions, and passes on what `lifecycle` looks after.
fn observer(registry: Arc<Registry>, feeder: lifecycle::Feeder) -> Observer {
    Arc::new(move |event| {
        registry.observe(event);
        feeder.tell(event);
    })
}

/// Text of a header; empty when absent or no text.
pub(super) fn header_text<'p>(parts: &'p Parts, name: &header::HeaderName) -> &'p str {
    parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// A content type without its parameters.
fn media_type(header: &str) -> String {
    header.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

async fn read<B>(body: B) -> Result<Bytes, Failure>
where
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    match Limited::new(body, MAX_BODY).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Failure::too_large(MAX_BODY)),
        Err(error) => Err(Failure::bad_request(format!("cannot read the body: {error}"))),
    }
}
