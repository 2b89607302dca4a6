//! A body on its way to GitHub.

use std::io;

use bytes::Bytes;
use http_body_util::channel::{Channel, Sender};

use crate::gateway::Outgoing;

/// The end where the client's parts go in. Let go before [`Upload::end`], it breaks off at GitHub, too,
/// which would else take half a body without a length for the whole.
pub(super) struct Upload(Option<Sender<Bytes, io::Error>>);

/// Parts of a body that wait for GitHub to take them.
const AHEAD: usize = 4;

// === impl Upload ===

impl Upload {
    pub(super) fn new() -> (Self, Outgoing) {
        let (parts, body) = Channel::new(AHEAD);
        (Self(Some(parts)), Outgoing::Stream(reqwest::Body::wrap(body)))
    }

    /// Waits until there is room for another part. Where GitHub wants no more, it is dropped.
    pub(super) async fn pass(&mut self, part: Bytes) {
        if let Some(parts) = &mut self.0 {
            parts.send_data(part).await.ok();
        }
    }

    /// That was all.
    pub(super) fn end(mut self) {
        drop(self.0.take());
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let Some(parts) = self.0.take() {
            parts.abort(io::ErrorKind::ConnectionAborted.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    async fn arrives(finish: impl FnOnce(Upload)) -> Option<Bytes> {
        let (mut upload, body) = Upload::new();
        let Outgoing::Stream(body) = body else { panic!("it is a stream") };
        upload.pass(Bytes::from_static(b"half")).await;
        finish(upload);
        Some(body.collect().await.ok()?.to_bytes())
    }

    #[tokio::test]
    async fn only_what_was_ended_is_whole() {
        assert_eq!(arrives(Upload::end).await, Some(Bytes::from_static(b"half")));
        assert_eq!(arrives(drop).await, None);
    }
}
