//! The whole of an idle poll: one request that asks a server where a branch is.
//!
//! A conversation of Git's begins with what the server can do, without credentials at first. Over HTTP, however, each command of
//! protocol 2 stands for itself (gitprotocol-v2, "HTTP Transport"), so that who has talked with a server before may begin
//! with the question. Only the answer that nothing changed is believed: after any other, gix asks in full, and judges.

use std::io::{BufReader, Read};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use gix::protocol::{
    handshake::refs::from_v2_refs,
    transport::packetline::{
        PacketLineRef,
        blocking_io::{StreamingPeekableIter, encode},
    },
};
use reqwest::{
    StatusCode,
    blocking::Client,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT},
};
use secrecy::{ExposeSecret as _, SecretString};

use super::{
    https::USER,
    repository::{commit_id, tip_of},
};
use crate::model::CommitId;

/// So much of an answer is read. Branches whose names begin with the name of ours are in it, too.
const MAX_ANSWER: u64 = 256 << 10;

/// What came of asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The branch is where it was.
    Same,
    /// It is not, or nobody told.
    Other,
    /// The server does not answer what is asked like this.
    Useless,
}

/// Asks a server whether `name` is still at `known`.
pub(super) fn is_still(
    client: &Client,
    url: &str,
    token: Option<&SecretString>,
    name: &str,
    known: &CommitId,
) -> Answer {
    let Some(headers) = headers(token) else { return Answer::Other };
    let address = format!("{}/git-upload-pack", url.trim_end_matches('/'));
    let request = client.post(address).headers(headers).body(question(name));
    let Ok(response) = request.send() else { return Answer::Other };
    match response.status() {
        StatusCode::OK => read(response.take(MAX_ANSWER), name, known),
        // Whoever we are and how busy it is, says nothing about the question.
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS => {
            Answer::Other
        }
        status if status.is_server_error() => Answer::Other,
        _ => Answer::Useless,
    }
}

fn headers(token: Option<&SecretString>) -> Option<HeaderMap> {
    const GIT_PROTOCOL: HeaderName = HeaderName::from_static("git-protocol");
    let mut headers = HeaderMap::new();
    for (name, value) in [
        (CONTENT_TYPE, "application/x-git-upload-pack-request"),
        (ACCEPT, "application/x-git-upload-pack-result"),
        (GIT_PROTOCOL, "version=2"),
        // Some servers know Git by it.
        (USER_AGENT, concat!("git/tidegate-", env!("CARGO_PKG_VERSION"))),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Some(token) = token {
        let both = STANDARD.encode(format!("{USER}:{}", token.expose_secret()));
        let mut value = HeaderValue::from_str(&format!("Basic {both}")).ok()?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    Some(headers)
}

/// The command `ls-refs` for one name, and for what a tag of that name stands for.
fn question(name: &str) -> Vec<u8> {
    let mut body = Vec::new();
    let written = encode::text_to_write(b"command=ls-refs", &mut body)
        .and_then(|_| encode::delim_to_write(&mut body))
        .and_then(|_| encode::text_to_write(b"peel", &mut body))
        .and_then(|_| encode::text_to_write(format!("ref-prefix {name}").as_bytes(), &mut body))
        .and_then(|_| encode::flush_to_write(&mut body));
    // A name that is too long for a line is asked for by gix, which says so.
    if written.is_err() {
        body.clear();
    }
    body
}

fn read(answer: impl Read, name: &str, known: &CommitId) -> Answer {
    let mut lines =
        StreamingPeekableIter::new(BufReader::new(answer), &[PacketLineRef::Flush], false);
    lines.fail_on_err_lines(true);
    let Ok(references) = from_v2_refs(&mut lines.as_read()) else { return Answer::Useless };
    match tip_of(name, &references).map(commit_id) {
        Some(Ok(tip)) if tip == *known => Answer::Same,
        _ => Answer::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIP: &str = "1111111111111111111111111111111111111111";
    const OTHER: &str = "2222222222222222222222222222222222222222";

    fn lines(lines: &[&str]) -> Vec<u8> {
        let mut body = Vec::new();
        for line in lines {
            encode::text_to_write(line.as_bytes(), &mut body).unwrap();
        }
        encode::flush_to_write(&mut body).unwrap();
        body
    }

    #[test]
    fn the_question_is_one_command_for_one_name() {
        let text = String::from_utf8(question("refs/heads/main")).unwrap();
        let want = "0014command=ls-refs\n00010009peel\n001fref-prefix refs/heads/main\n0000";
        assert_eq!(text, want);
    }

    #[test]
    fn only_the_same_commit_of_the_same_name_is_no_news() {
        let known = TIP.parse().unwrap();
        let main = "refs/heads/main";
        for (told, want) in [
            (lines(&[&format!("{TIP} {main}")]), Answer::Same),
            (lines(&[&format!("{OTHER} {main}")]), Answer::Other),
            (lines(&[&format!("{TIP} {main}-2"), &format!("{OTHER} {main}")]), Answer::Other),
            (lines(&[&format!("{OTHER} {main}-2"), &format!("{TIP} {main}")]), Answer::Same),
            (lines(&[&format!("{OTHER} {main} peeled:{TIP}")]), Answer::Same),
            (lines(&[]), Answer::Other),
            (lines(&["ERR upload-pack: not our ref"]), Answer::Useless),
            (lines(&["nonsense"]), Answer::Useless),
            (b"<html>".to_vec(), Answer::Useless),
            // Cut off before its end, it is no answer.
            (lines(&[&format!("{TIP} {main}")])[..40].to_vec(), Answer::Useless),
        ] {
            assert_eq!(read(&told[..], main, &known), want, "{}", String::from_utf8_lossy(&told));
        }
    }
}
