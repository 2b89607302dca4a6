//! `gatekeep demo`: everything on this machine, to see it work.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::fail;
use crate::clock::System;
use crate::config::Config;
use crate::keys::random;
use crate::log::{self, AccessLog};
use crate::server::{Server, Stop};
use crate::simulator::{Echo, EchoSettings, Simulator};

/// Ports that are tried, beginning with the one asked for.
const PORTS_TRIED: u16 = 100;

pub(super) fn demo(port: u16) -> ExitCode {
    match play(port) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error, 1),
    }
}

fn play(wanted: u16) -> Result<(), Box<dyn std::error::Error>> {
    let port = free_port(wanted).ok_or("no port is free; choose another with --port")?;
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let github = Simulator::start(any)?;
    // By the host of `public_url`: on any other the gateway has no pages.
    let jwks_url = Some(format!("http://localhost:{port}/.gatekeep/jwks.json"));
    let app = Echo::start(any, EchoSettings { jwks_url, prefix: "/.gatekeep".to_owned() })?;
    let yaml = include_str!("demo.yaml")
        .replace("@PORT@", &port.to_string())
        .replace("@SECRET@", &URL_SAFE_NO_PAD.encode(random::<32>()))
        .replace("@CLIENT_ID@", github.client_id())
        .replace("@CLIENT_SECRET@", github.client_secret())
        .replace("@GITHUB@", github.url())
        .replace("@APP@", app.url());
    let config = Config::parse(Path::new("demo.yaml"), &yaml, &|_| None)?;
    log::init(&config.log);
    let server = Server::bind(config, None, Arc::new(System), AccessLog::to(std::io::sink()))?;
    welcome(wanted, port, github.url());
    server.run(Stop::OnSignal)?;
    Ok(())
}

fn free_port(wanted: u16) -> Option<u16> {
    (wanted..=wanted.saturating_add(PORTS_TRIED))
        .find(|&port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok())
}

#[expect(clippy::print_stdout, reason = "this is what the command is for")]
fn welcome(wanted: u16, port: u16, github: &str) {
    if port != wanted {
        println!("Port {wanted} is taken; using {port} instead.\n");
    }
    println!("Gatekeep demo. Open this address in a browser:\n");
    println!("    http://localhost:{port}/hello?from=demo\n");
    println!("You will be asked who you are by a pretended GitHub ({github}):");
    println!("nothing leaves this machine, and no account is real. Then you see what an app");
    println!("behind Gatekeep learns about you. Ctrl-C ends all of it.");
}
