//! Where archives are downloaded: another origin, which notes what arrives there.

use std::{io, net::IpAddr, sync::Arc, time::Duration};

use http::{Request, StatusCode};
use hyper::body::Incoming;

use super::{
    github::{Simulator, read},
    journal::Log,
    record::Recorded,
    serve::{Bound, HangUp, Running},
    web::{Reply, text},
};

/// The other origin; it stops when dropped.
#[derive(Debug)]
pub(super) struct Codeload {
    log: Arc<Log>,
    server: Running,
}

// === impl Codeload ===

impl Codeload {
    pub(super) fn start(address: IpAddr) -> io::Result<Self> {
        let log = Arc::new(Log::default());
        let handler = {
            let log = Arc::clone(&log);
            move |request| answer(Arc::clone(&log), request)
        };
        let server = Bound::to((address, 0).into())?.serve("simulated-codeload", handler)?;
        Ok(Self { log, server })
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.server.address)
    }
}

// === impl Simulator ===

impl Simulator {
    /// What arrived where archives are downloaded, oldest first: no credentials belong there.
    pub fn downloads(&self) -> Vec<Recorded> {
        self.codeload.log.all()
    }
}

async fn answer(log: Arc<Log>, request: Request<Incoming>) -> Result<Reply, HangUp> {
    let request = read(request).await?;
    log.note(&request, Duration::ZERO, None);
    Ok(text(StatusCode::OK, format!("An archive: {}\n", request.path())))
}
