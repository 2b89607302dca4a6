//! Pingora with nothing of ours in it: one upstream, no filters, no log.
//!
//! This is the floor Gatekeep is measured against; see `benches/load/README.md`.
//! It is no bench of its own but the program the load test starts: `bare LISTEN UPSTREAM THREADS`.

use async_trait::async_trait;
use pingora::modules::http::HttpModules;
use pingora::prelude::*;
use pingora::server::configuration::ServerConf;

/// The allocator of the `gatekeep` binary, so that the two differ in logic alone.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct Bare {
    upstream: HttpPeer,
}

#[async_trait]
impl ProxyHttp for Bare {
    type CTX = ();

    fn new_ctx(&self) -> Self::CTX {}

    /// No modules: Pingora would add response compression by itself.
    fn init_downstream_modules(&self, _modules: &mut HttpModules) {}

    async fn upstream_peer(&self, _: &mut Session, (): &mut Self::CTX) -> Result<Box<HttpPeer>> {
        Ok(Box::new(self.upstream.clone()))
    }
}

pub(crate) fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [listen, upstream, threads] = arguments.as_slice() else {
        return; // `cargo bench` runs every bench, with an argument of its own: there is nothing to do.
    };
    let threads = threads.parse().expect("THREADS is a number");
    serve(listen, upstream, threads);
}

fn serve(listen: &str, upstream: &str, threads: usize) {
    let configuration = ServerConf {
        threads,
        upstream_keepalive_pool_size: 1024,
        grace_period_seconds: Some(0),
        graceful_shutdown_timeout_seconds: Some(0),
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, configuration);
    server.bootstrap();
    let bare = Bare { upstream: HttpPeer::new(upstream, false, String::new()) };
    let mut proxy = http_proxy_service(&server.configuration, bare);
    proxy.add_tcp(listen);
    server.add_service(proxy);
    server.run_forever();
}
