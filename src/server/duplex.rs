//! A session whose other end is in the test's own hands.

use pingora::proxy::Session;
use tokio::io::{AsyncWriteExt, DuplexStream, duplex};

/// A request whose header has come, and the client's end. So many bytes fit between them.
pub(super) async fn begun(header: &str, between: usize) -> (Session, DuplexStream) {
    let (mut client, server) = duplex(between.max(header.len()));
    client.write_all(header.as_bytes()).await.expect("it fits");
    let mut session = Session::new_h1(Box::new(server));
    assert!(session.as_downstream_mut().read_request().await.expect("a header"));
    (session, client)
}
