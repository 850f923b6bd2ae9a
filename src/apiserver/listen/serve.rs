//! The loop that accepts connections.

use std::{convert::Infallible, sync::Arc, time::Duration};

use http::{Request, Response, header};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::tls::Tls;
use crate::apiserver::{ApiServer, Body, answer::Answer, authenticate::bearer, failure::Failure};

/// Connections at a time; more wait to be accepted.
const MAX_CONNECTIONS: usize = 1024;
/// Streams of one HTTP/2 connection at a time, as kube-apiserver allows.
const MAX_STREAMS: u32 = 250;
/// Bytes of headers.
const MAX_HEADERS: u32 = 64 << 10;
/// A client that does not get through its handshake or headers in this time is let go.
const PATIENCE: Duration = Duration::from_secs(10);
/// What open requests get to end when the server does.
const GRACE: Duration = Duration::from_secs(3);

/// Serves `server` on `listener` until `stop`; then watches end, open requests get a moment, and this returns. Whoever
/// has `token` may do everything; others need a token of a service account.
pub async fn serve(
    listener: TcpListener,
    tls: Tls,
    token: String,
    server: ApiServer,
    stop: CancellationToken,
) {
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    server.accept(&token);
    // Watches end with this listener, though others may serve the same server on.
    let ending = stop.child_token();
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { break };
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Mostly too many open files: those that are open will close.
                    tracing::warn!(%error, "a connection was not accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
            () = stop.cancelled() => break,
        };
        let (tls, server, watcher) = (tls.clone(), server.clone(), graceful.watcher());
        let ending = ending.clone();
        tokio::spawn(async move {
            let _place = place;
            let Some(stream) = shake_hands(&tls, stream).await else { return };
            let service =
                service_fn(move |request| answer(server.clone(), ending.clone(), request));
            let builder = builder();
            let connection = builder.serve_connection(TokioIo::new(stream), service);
            if let Err(error) = watcher.watch(connection.into_owned()).await {
                tracing::debug!(%error, "a connection ended");
            }
        });
    }
    drop(listener);
    if timeout(GRACE, graceful.shutdown()).await.is_err() {
        tracing::debug!("some connections did not end in time");
    }
}

async fn shake_hands(
    tls: &Tls,
    stream: TcpStream,
) -> Option<tokio_rustls::server::TlsStream<TcpStream>> {
    // Small answers leave at once.
    let _ = stream.set_nodelay(true);
    match timeout(PATIENCE, tls.acceptor().accept(stream)).await {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err(error)) => {
            tracing::debug!(%error, "no TLS");
            None
        }
        Err(_) => None,
    }
}

fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(MAX_HEADERS as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEADERS)
        // Clients whose machine slept are noticed.
        .keep_alive_interval(Duration::from_secs(30));
    builder
}

async fn answer(
    server: ApiServer,
    ending: CancellationToken,
    mut request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let is_open = matches!(request.uri().path(), "/healthz" | "/livez" | "/readyz" | "/version");
    if is_open {
        // What everybody may know is told to those with a wrong token, too.
        request.headers_mut().remove(header::AUTHORIZATION);
    } else if bearer(request.headers()).is_none() {
        return Ok(Answer::from(Failure::unauthorized()).into_response_to(request.method()));
    }
    let response = server.oneshot(request).await?;
    Ok(response.map(|body| body.until(ending)))
}
