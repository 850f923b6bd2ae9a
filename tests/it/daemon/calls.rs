//! Counting what a daemon asks of its hub.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use http::Request;
use kube::client::Body;
use tidegate::apiserver::ApiServer;
use tower::Service;

/// Method and path of each request.
#[derive(Clone, Default)]
pub struct Calls(Arc<Mutex<Vec<String>>>);

#[derive(Clone)]
struct Counted {
    server: ApiServer,
    calls: Calls,
}

impl Calls {
    pub fn of(server: ApiServer) -> (kube::Client, Self) {
        let calls = Self::default();
        let counted = Counted { server, calls: calls.clone() };
        (kube::Client::new(counted, "default"), calls)
    }

    /// Returns what was asked since the last time.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    pub fn is_empty(&self) -> bool {
        self.0.lock().unwrap().is_empty()
    }
}

impl Service<Request<Body>> for Counted {
    type Response = <ApiServer as Service<Request<Body>>>::Response;
    type Error = Infallible;
    type Future = <ApiServer as Service<Request<Body>>>::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Service::<Request<Body>>::poll_ready(&mut self.server, context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let call = format!("{} {}", request.method(), request.uri());
        self.calls.0.lock().unwrap().push(call);
        self.server.call(request)
    }
}
