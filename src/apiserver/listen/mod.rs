//! The server on a socket: TLS, one token, HTTP/1.1 and HTTP/2.

mod serve;
mod tls;
mod token;

pub use self::{
    serve::serve,
    tls::{Tls, TlsError},
};
