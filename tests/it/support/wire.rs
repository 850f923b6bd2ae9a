//! The wire between a process and its servers: it counts what goes over it, and may be cut at a write.

use std::{
    convert::Infallible,
    future::pending,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use http::{Method, Request};
use kube::client::Body;
use tidegate::apiserver::ApiServer;
use tokio_util::sync::CancellationToken;
use tower::Service;

/// What became of the write at which the wire was cut. Who sent it never learns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It did not arrive.
    Lost,
    /// It arrived, and took effect.
    Unanswered,
}

/// One process's wire, to however many servers.
#[derive(Clone, Default)]
pub struct Wire {
    state: Arc<Mutex<State>>,
    cut: CancellationToken,
}

#[derive(Default)]
struct State {
    /// Server, method and path of each request.
    calls: Vec<String>,
    writes: usize,
    /// The number of the write at which it is cut, from 1.
    last: Option<(usize, Fate)>,
}

/// What a request may do.
enum Passage {
    Free,
    Last(Fate),
    Shut,
}

impl Wire {
    /// Returns a wire that is cut at the `nth` write from now, counted from 1.
    pub fn cut_at(nth: usize, fate: Fate) -> Self {
        let wire = Self::default();
        wire.state.lock().unwrap().last = Some((nth, fate));
        wire
    }

    /// Returns a client of a server at the other end.
    pub fn client(&self, server: ApiServer) -> kube::Client {
        self.client_of("", server)
    }

    /// Returns a client of one of several servers, whose name comes before what it was asked.
    pub fn client_of(&self, name: &str, server: ApiServer) -> kube::Client {
        kube::Client::new(Wired { name: name.to_owned(), server, wire: self.clone() }, "default")
    }

    /// Returns what was asked since the last time.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap().calls)
    }

    /// Returns whether nothing was asked since the last time.
    pub fn is_quiet(&self) -> bool {
        self.state.lock().unwrap().calls.is_empty()
    }

    /// Waits until it is cut.
    pub async fn cut(&self) {
        self.cut.cancelled().await;
    }

    fn pass(&self, server: &str, request: &Request<Body>) -> Passage {
        let mut state = self.state.lock().unwrap();
        let call = format!("{server} {} {}", request.method(), request.uri());
        state.calls.push(call.trim_start().to_owned());
        if self.cut.is_cancelled() {
            return Passage::Shut;
        }
        if is_write(request.method()) {
            state.writes += 1;
        }
        match state.last {
            Some((nth, fate)) if is_write(request.method()) && state.writes == nth => {
                Passage::Last(fate)
            }
            Some((nth, _)) if state.writes > nth => Passage::Shut,
            _ => Passage::Free,
        }
    }
}

/// Returns whether requests of this method change something.
pub fn is_write(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD)
}

#[derive(Clone)]
struct Wired {
    name: String,
    server: ApiServer,
    wire: Wire,
}

type Answer = <ApiServer as Service<Request<Body>>>::Response;

impl Service<Request<Body>> for Wired {
    type Response = Answer;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Answer, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Service::<Request<Body>>::poll_ready(&mut self.server, context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (passage, cut) = (self.wire.pass(&self.name, &request), self.wire.cut.clone());
        let answer = self.server.call(request);
        match passage {
            Passage::Free => answer,
            Passage::Shut => Box::pin(pending()),
            Passage::Last(fate) => Box::pin(async move {
                if fate == Fate::Unanswered {
                    let _ = answer.await;
                }
                cut.cancel();
                pending().await
            }),
        }
    }
}
