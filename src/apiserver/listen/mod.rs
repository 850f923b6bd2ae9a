//! The server on a socket: TLS, tokens, HTTP/1.1 and HTTP/2.

mod serve;
mod tls;

pub use self::{
    serve::serve,
    tls::{Tls, TlsError},
};
