//! `gatekeep simulate`: the simulated GitHub alone.

use std::net::SocketAddr;
use std::process::ExitCode;

use serde_json::json;

use super::fail;
use crate::simulator::Simulator;

#[expect(clippy::print_stdout, reason = "the caller reads the addresses")]
pub(super) fn simulate(listen: SocketAddr) -> ExitCode {
    let github = match Simulator::start(listen) {
        Ok(github) => github,
        Err(error) => return fail(&format!("cannot listen on {listen}: {error}"), 1),
    };
    let (id, secret) = (github.client_id(), github.client_secret());
    println!("{}", json!({"url": github.url(), "client_id": id, "client_secret": secret}));
    loop {
        std::thread::park();
    }
}
