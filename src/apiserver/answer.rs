//! Responses.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Response, StatusCode, header};
use serde::Serialize;
use serde_json::Value;

use super::{accept::Text, body::Body, failure::Failure};

/// A response that is known to fit into HTTP.
#[derive(Debug)]
pub(super) struct Answer {
    code: StatusCode,
    content_type: &'static str,
    body: Body,
    warnings: Vec<String>,
    /// How long clients may keep it.
    cache_control: &'static str,
    headers: Vec<(HeaderName, String)>,
}

const NOT_AT_ALL: &str = "no-cache, private";

/// Warnings that an answer carries at most; they are headers.
const MAX_WARNINGS: usize = 50;

impl Answer {
    /// JSON text that is there already.
    pub(super) fn json(code: StatusCode, bytes: impl Into<Bytes>) -> Answer {
        Answer {
            code,
            content_type: "application/json",
            body: Body::whole(bytes),
            warnings: Vec::new(),
            cache_control: NOT_AT_ALL,
            headers: Vec::new(),
        }
    }

    /// A value, in the format that the client wants.
    pub(super) fn value(code: StatusCode, value: &impl Serialize, text: Text) -> Answer {
        match text {
            Text::Json => {
                // A newline, so that `curl` ends its line.
                let mut json = serde_json::to_vec(value).unwrap_or_default();
                json.push(b'\n');
                Answer::json(code, json)
            }
            Text::Yaml => Answer {
                code,
                content_type: "application/yaml",
                body: Body::whole(serde_yaml::to_string(value).unwrap_or_default()),
                warnings: Vec::new(),
                cache_control: NOT_AT_ALL,
                headers: Vec::new(),
            },
        }
    }

    /// Plain text.
    pub(super) fn text(code: StatusCode, text: impl Into<Bytes>) -> Answer {
        let content_type = "text/plain; charset=utf-8";
        Answer {
            code,
            content_type,
            body: Body::whole(text),
            warnings: Vec::new(),
            cache_control: NOT_AT_ALL,
            headers: Vec::new(),
        }
    }

    /// 204: there is nothing to say.
    pub(super) fn nothing() -> Answer {
        Answer { content_type: "", ..Answer::text(StatusCode::NO_CONTENT, "") }
    }

    /// What kube-apiserver says of paths that lead nowhere.
    pub(super) fn no_page() -> Answer {
        Answer::text(StatusCode::NOT_FOUND, "404 page not found\n")
    }

    /// Pieces of JSON as they come.
    pub(super) fn stream(body: Body) -> Answer {
        Answer {
            code: StatusCode::OK,
            content_type: "application/json",
            body,
            warnings: Vec::new(),
            cache_control: NOT_AT_ALL,
            headers: Vec::new(),
        }
    }

    /// With another content type.
    pub(super) fn of_type(mut self, content_type: &'static str) -> Answer {
        self.content_type = content_type;
        self
    }

    /// With a tag that changes when the document does. A client that has it already, as its `If-None-Match` says, gets no
    /// body.
    pub(super) fn tagged(mut self, tag: &str, held: &str) -> Answer {
        let tag = format!("\"{tag}\"");
        if held.split(',').any(|held| held.trim().trim_start_matches("W/") == tag) {
            (self.code, self.body) = (StatusCode::NOT_MODIFIED, Body::whole(Bytes::new()));
        }
        self.with(header::ETAG, tag).with(header::VARY, "Accept".to_owned())
    }

    /// To be kept by clients for as long as `control` says.
    pub(super) fn cached(mut self, control: &'static str) -> Answer {
        self.cache_control = control;
        self
    }

    /// With one more header.
    pub(super) fn with(mut self, name: HeaderName, value: String) -> Answer {
        self.headers.push((name, value));
        self
    }

    /// With JSON that people can read.
    pub(super) fn indented(mut self) -> Answer {
        if let Some(json) =
            self.body.as_whole().filter(|_| self.content_type.starts_with("application/json"))
            && let Ok(value) = serde_json::from_slice::<Value>(json)
            && let Ok(mut text) = serde_json::to_vec_pretty(&value)
        {
            text.push(b'\n');
            self.body = Body::whole(text);
        }
        self
    }

    /// With warnings for the person behind the client.
    pub(super) fn warn(mut self, warnings: impl IntoIterator<Item = String>) -> Answer {
        self.warnings.extend(warnings);
        self
    }

    /// With a warning before all others.
    pub(super) fn warn_first(mut self, warning: Option<String>) -> Answer {
        self.warnings.splice(0..0, warning);
        self
    }

    /// What is sent to who asked with `method`: a HEAD gets what a GET would, but for the body.
    pub(super) fn into_response_to(self, method: &Method) -> Response<Body> {
        if *method != Method::HEAD {
            return self.into_response();
        }
        let length = self.body.as_whole().map(Bytes::len);
        let mut response = self.into_response().map(|_| Body::whole(Bytes::new()));
        if let Some(length) = length {
            response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
        }
        response
    }

    fn into_response(self) -> Response<Body> {
        let mut response = Response::new(self.body);
        *response.status_mut() = self.code;
        let headers = response.headers_mut();
        if !self.content_type.is_empty() {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        }
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(self.cache_control));
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        }
        for warning in self.warnings.iter().take(MAX_WARNINGS) {
            let quoted = warning.replace('\\', "\\\\").replace('"', "\\\"");
            let readable: String = quoted.chars().filter(|c| !c.is_control()).collect();
            if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{readable}\"")) {
                headers.append(header::WARNING, value);
            }
        }
        response
    }
}

impl From<Failure> for Answer {
    fn from(failure: Failure) -> Answer {
        let mut answer = Answer::value(failure.code(), &failure.status(), Text::Json);
        if let Some(seconds) = failure.retry_after() {
            answer = answer.with(header::RETRY_AFTER, seconds.to_string());
        }
        answer.warn(failure.warnings().iter().cloned())
    }
}
