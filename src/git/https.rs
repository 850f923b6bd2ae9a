//! The requests of polls and fetches. They go over one connection that stays open: reading a machine's trust store and
//! shaking hands cost far more than asking where a branch is. gix's own client begins anew each time.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use gix::protocol::transport::client::{
    AuthenticationRequired,
    blocking_io::http::{GetResponse, Http, PostBodyDataKind, PostResponse},
};
use reqwest::{
    StatusCode, Url,
    blocking::{Client, RequestBuilder, Response},
    header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, LOCATION, WWW_AUTHENTICATE},
    redirect::Policy,
};

use super::error::{Class, GitError};

/// One wait for the network may take this long: for headers, for the next piece of a body.
const DEADLINE: Duration = Duration::from_secs(30);
/// A connection may take this long.
const CONNECT_DEADLINE: Duration = Duration::from_secs(10);
/// A server may send us on this often.
const MAX_REDIRECTS: usize = 10;
/// So much of an answer is read that nobody wants, to keep its connection.
const MAX_REST: u64 = 16 << 10;

/// Who has a token, as servers that take any name call them.
pub(super) const USER: &str = "x-access-token";

/// The client of a repository, kept from poll to poll.
#[derive(Debug, Default)]
pub(super) struct Door {
    /// With the authorities that it trusts beside those of the machine, PEM.
    held: Mutex<Option<(Vec<u8>, Client)>>,
    way: Mutex<Way>,
}

/// How a server may be asked whether a branch moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Way {
    /// In a conversation, which tells how.
    #[default]
    Unknown,
    /// In one request, with credentials if it wanted them.
    OneRequest {
        /// Whether it did.
        with_token: bool,
    },
    /// In a conversation, for it has no answer to one request.
    Conversation,
}

impl Door {
    /// Returns the client: a new one where the file with authorities has changed.
    pub(super) fn client(&self, url: &str, authorities: Option<&Path>) -> Result<Client, GitError> {
        let pem = match authorities {
            None => Vec::new(),
            Some(path) => std::fs::read(path).map_err(|error| {
                let attempt = format!("cannot read the certificates in `{}`", path.display());
                GitError::because(Class::BadAddress, attempt, &error)
            })?,
        };
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, client)) = held.as_ref()
            && *known == pem
        {
            return Ok(client.clone());
        }
        let client = new_client(url, &pem).map_err(|error| {
            let attempt = format!("cannot prepare the connection to `{url}`");
            GitError::because(Class::BadAddress, attempt, &error)
        })?;
        Ok(held.insert((pem, client)).1.clone())
    }

    /// Forgets the client, so that the next one reads the machine's trust store again.
    pub(super) fn forget(&self) {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Returns how the server may be asked.
    pub(super) fn way(&self) -> Way {
        *self.way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes how the server may be asked. That it has no answer for one request is true for good.
    pub(super) fn note(&self, way: Way) {
        let mut held = self.way.lock().unwrap_or_else(PoisonError::into_inner);
        if *held != Way::Conversation {
            *held = way;
        }
    }
}

fn new_client(url: &str, authorities: &[u8]) -> Result<Client, reqwest::Error> {
    let mut builder = Client::builder()
        .timeout(DEADLINE)
        .connect_timeout(CONNECT_DEADLINE)
        .https_only(url.starts_with("https://"))
        .redirect(Policy::none())
        .pool_max_idle_per_host(1);
    if !authorities.is_empty() {
        builder = builder.tls_certs_merge(reqwest::Certificate::from_pem_bundle(authorities)?);
    }
    builder.build()
}

/// The requests of one conversation with a server.
pub(super) struct Conversation {
    client: Client,
    door: Arc<Door>,
    /// Where the server sent us.
    redirected: Option<String>,
}

impl Conversation {
    pub(super) const fn new(client: Client, door: Arc<Door>) -> Self {
        Self { client, door, redirected: None }
    }

    /// Asks, and goes where it is sent to, as Git does for the first request (`http.followRedirects=initial`): to a
    /// repository, never from `https` to `http`, and without credentials for another server.
    fn follow(&mut self, url: &str, base: &str, mut headers: HeaderMap) -> io::Result<Response> {
        let tail = url.strip_prefix(base).unwrap_or_default();
        let mut at = Url::parse(url).map_err(io::Error::other)?;
        for _ in 0..=MAX_REDIRECTS {
            let request = self.client.get(at.clone()).headers(headers.clone());
            let response = request.send().map_err(io::Error::other)?;
            let Some(next) = sent_to(&at, &response) else {
                let answer = accepted(response);
                if answer.is_ok() {
                    let with_token = headers.contains_key(AUTHORIZATION);
                    // Who is sent on asks in full: it may be another server the next time.
                    let is_here = self.redirected.is_none();
                    let way = if is_here { Way::OneRequest { with_token } } else { Way::Unknown };
                    self.door.note(way);
                }
                return answer;
            };
            let is_same_server = next.origin() == at.origin();
            let repository = next.as_str().strip_suffix(tail);
            let (true, Some(repository)) = (is_same_server || next.scheme() == "https", repository)
            else {
                return Err(io::Error::other(format!("sent to `{next}`, which is not followed")));
            };
            if !is_same_server {
                headers.remove(AUTHORIZATION);
            }
            self.redirected = Some(repository.to_owned());
            at = next;
        }
        Err(io::Error::other(format!("sent on more than {MAX_REDIRECTS} times")))
    }
}

impl Http for Conversation {
    type Headers = Headers;
    type ResponseBody = Body;
    type PostBody = Posted;

    fn get(
        &mut self,
        url: &str,
        base_url: &str,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<GetResponse<Headers, Body>, gix::Error> {
        let answer = self.follow(url, base_url, header_map(headers));
        let exchange = Exchange { unsent: None, posted: Vec::new(), answer: Some(answer) };
        Ok(exchange.parts().into())
    }

    fn post(
        &mut self,
        url: &str,
        _base_url: &str,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
        _body: PostBodyDataKind,
    ) -> Result<PostResponse<Headers, Body, Posted>, gix::Error> {
        let unsent = Some(self.client.post(url).headers(header_map(headers)));
        Ok(Exchange { unsent, posted: Vec::new(), answer: None }.parts())
    }

    fn configure(&mut self, _: &dyn std::any::Any) -> Result<(), gix::Error> {
        Ok(())
    }

    fn redirected_base_url(&self) -> Option<String> {
        self.redirected.clone()
    }
}

/// A request and its answer. A request with a body is sent when its answer is first read: by then the body is whole.
struct Exchange {
    unsent: Option<RequestBuilder>,
    posted: Vec<u8>,
    answer: Option<io::Result<Response>>,
}

impl Exchange {
    fn parts(self) -> PostResponse<Headers, Body, Posted> {
        let shared = Arc::new(Mutex::new(self));
        PostResponse {
            headers: Headers { exchange: Arc::clone(&shared), lines: None },
            body: Body { exchange: Arc::clone(&shared), response: None },
            post_body: Posted(shared),
        }
    }

    /// Returns the answer, once each for who wants its headers and who takes its body.
    fn answer(&mut self) -> io::Result<&mut Option<io::Result<Response>>> {
        if let Some(request) = self.unsent.take() {
            let sent = request.body(std::mem::take(&mut self.posted)).send();
            self.answer = Some(sent.map_err(io::Error::other).and_then(accepted));
        }
        match self.answer.take() {
            Some(Err(error)) => Err(error),
            answer => {
                self.answer = answer;
                Ok(&mut self.answer)
            }
        }
    }
}

/// The headers of an answer, as lines.
pub(super) struct Headers {
    exchange: Arc<Mutex<Exchange>>,
    lines: Option<io::Cursor<Vec<u8>>>,
}

impl BufRead for Headers {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.lines.is_none() {
            let mut exchange = self.exchange.lock().unwrap_or_else(PoisonError::into_inner);
            let mut lines = Vec::new();
            if let Some(Ok(response)) = exchange.answer()? {
                for (name, value) in response.headers() {
                    lines
                        .extend([name.as_str().as_bytes(), b":", value.as_bytes(), b"\n"].concat());
                }
            }
            self.lines = Some(io::Cursor::new(lines));
        }
        self.lines.get_or_insert_default().fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        if let Some(lines) = &mut self.lines {
            lines.consume(amount);
        }
    }
}

impl Read for Headers {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        read_filled(self, into)
    }
}

/// The body of an answer.
pub(super) struct Body {
    exchange: Arc<Mutex<Exchange>>,
    response: Option<BufReader<Response>>,
}

impl BufRead for Body {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.response.is_none() {
            let mut exchange = self.exchange.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(Ok(response)) = exchange.answer()?.take() {
                self.response = Some(BufReader::new(response));
            }
        }
        self.response.as_mut().map_or(Ok(&[]), BufRead::fill_buf)
    }

    fn consume(&mut self, amount: usize) {
        if let Some(response) = &mut self.response {
            response.consume(amount);
        }
    }
}

impl Read for Body {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        read_filled(self, into)
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        if let Some(response) = self.response.take() {
            discard(response);
        }
    }
}

/// The body of a request. What Git asks for is small: it is sent whole.
pub(super) struct Posted(Arc<Mutex<Exchange>>);

impl Write for Posted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).posted.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn read_filled(from: &mut impl BufRead, into: &mut [u8]) -> io::Result<usize> {
    let read = from.fill_buf()?.read(into)?;
    from.consume(read);
    Ok(read)
}

/// Reads an answer to its end when that is near: only then can its connection be used again.
fn discard(answer: impl Read) {
    // Without an end, the connection is closed. Nobody needs to know.
    let _ = io::copy(&mut answer.take(MAX_REST), &mut io::sink());
}

/// Returns where a server sends us, if it does.
fn sent_to(from: &Url, response: &Response) -> Option<Url> {
    if !response.status().is_redirection() {
        return None;
    }
    from.join(response.headers().get(LOCATION)?.to_str().ok()?).ok()
}

/// Returns an answer that is one; else what gix takes for a wish to know who we are, or for a failure.
fn accepted(response: Response) -> io::Result<Response> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let challenges = response.headers().get_all(WWW_AUTHENTICATE).iter();
    let www_authenticate = challenges.map(|value| value.as_bytes().into()).collect();
    discard(response);
    Err(match status {
        StatusCode::UNAUTHORIZED => io::Error::new(
            io::ErrorKind::PermissionDenied,
            AuthenticationRequired { www_authenticate },
        ),
        status => io::Error::other(format!("HTTP status {status}")),
    })
}

/// Reads header lines of gix. None of them comes from outside but the token, which may be no header's value.
fn header_map(lines: impl IntoIterator<Item = impl AsRef<str>>) -> HeaderMap {
    let mut map = HeaderMap::new();
    for line in lines {
        let Some((name, value)) = line.as_ref().split_once(':') else { continue };
        let value = HeaderValue::from_str(value.trim());
        if let (Ok(name), Ok(mut value)) = (HeaderName::from_bytes(name.as_bytes()), value) {
            value.set_sensitive(name == AUTHORIZATION);
            map.append(name, value);
        }
    }
    map
}
