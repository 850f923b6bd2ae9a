//! Response bodies.

use std::{
    convert::Infallible,
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures::{Stream, StreamExt as _, stream::BoxStream};
use http_body::{Frame, SizeHint};
use tokio_util::sync::CancellationToken;

/// What the server answers with: a whole document, or the stream of a watch. Reading it never fails.
pub struct Body(Content);

enum Content {
    Whole(Option<Bytes>),
    Stream(BoxStream<'static, Bytes>),
}

impl Body {
    /// A whole document.
    pub(super) fn whole(bytes: impl Into<Bytes>) -> Body {
        Body(Content::Whole(Some(bytes.into())))
    }

    /// Pieces as they come.
    pub(super) fn stream(pieces: impl Stream<Item = Bytes> + Send + 'static) -> Body {
        Body(Content::Stream(pieces.boxed()))
    }
}

impl Body {
    /// The document; nothing of a stream.
    pub(super) fn as_whole(&self) -> Option<&Bytes> {
        match &self.0 {
            Content::Whole(bytes) => bytes.as_ref(),
            Content::Stream(_) => None,
        }
    }

    /// Ends a stream when `stop` says so.
    pub(super) fn until(self, stop: CancellationToken) -> Body {
        match self.0 {
            Content::Stream(stream) => Body::stream(stream.take_until(stop.cancelled_owned())),
            whole => Body(whole),
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut self.0 {
            Content::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Content::Stream(stream) => {
                stream.poll_next_unpin(cx).map(|piece| piece.map(|bytes| Ok(Frame::data(bytes))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.0, Content::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Content::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |b| b.len() as u64))
            }
            Content::Stream(_) => SizeHint::default(),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Content::Whole(_) => "Body::Whole",
            Content::Stream(_) => "Body::Stream",
        })
    }
}
