//! `gatekeep demo`: everything on this machine, to see it work.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
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
use crate::simulator::{Echo, EchoSettings, Simulator, Trackeep};

/// Any free port of this machine's.
const ANY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Where the broker is, for the instance alone.
const BROKER: &str = "hq.localhost";

/// Ports that are tried, beginning with the one asked for.
const PORTS_TRIED: u16 = 100;

/// What is behind the gateway.
enum App {
    /// It shows what it learns.
    Echo(Echo),
    /// It behaves like a Trackeep.
    Trackeep(Trackeep),
}

pub(super) fn demo(port: u16, trackeep: bool) -> ExitCode {
    match play(port, trackeep) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error, 1),
    }
}

fn play(wanted: u16, trackeep: bool) -> Result<(), Box<dyn std::error::Error>> {
    let port = free_port(wanted).ok_or("no port is free; choose another with --port")?;
    let github = Simulator::start(ANY)?;
    let app = if trackeep { App::trackeep(port, &github)? } else { App::echo(port)? };
    let yaml = format!("{}{}", include_str!("demo.yaml"), app.routes())
        .replace("@PORT@", &port.to_string())
        .replace("@SECRET@", &URL_SAFE_NO_PAD.encode(random::<32>()))
        .replace("@CLIENT_ID@", github.client_id())
        .replace("@CLIENT_SECRET@", github.client_secret())
        .replace("@GITHUB@", github.url())
        .replace("@APP@", app.url());
    let config = Config::parse(Path::new("demo.yaml"), &yaml, &|_| None)?;
    log::init(&config.log);
    let server = Server::bind(config, None, Arc::new(System), AccessLog::to(std::io::sink()))?;
    welcome((wanted, port), app.first_page(), github.url());
    server.run(Stop::OnSignal)?;
    Ok(())
}

// === impl App ===

impl App {
    fn echo(port: u16) -> io::Result<Self> {
        // By the host of `public_url`: on any other the gateway has no pages.
        let jwks_url = Some(format!("http://localhost:{port}/.gatekeep/jwks.json"));
        Echo::start(ANY, EchoSettings { jwks_url, prefix: "/.gatekeep".to_owned() }).map(Self::Echo)
    }

    fn trackeep(port: u16, github: &Simulator) -> io::Result<Self> {
        let app = Trackeep::start(ANY)?;
        app.set_public_url(&format!("http://localhost:{port}"));
        app.resolve(BROKER, SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        app.set_control(&format!("http://{BROKER}:{port}"));
        app.set_github(&format!("{}/api/v3", github.url()));
        Ok(Self::Trackeep(app))
    }

    fn url(&self) -> &str {
        match self {
            Self::Echo(app) => app.url(),
            Self::Trackeep(app) => app.url(),
        }
    }

    fn routes(&self) -> &'static str {
        match self {
            Self::Echo(_) => include_str!("demo/echo.yaml"),
            Self::Trackeep(_) => include_str!("demo/trackeep.yaml"),
        }
    }

    fn first_page(&self) -> &'static str {
        match self {
            Self::Echo(_) => "/hello?from=demo",
            Self::Trackeep(_) => "/app/notes/7?from=demo",
        }
    }
}

fn free_port(wanted: u16) -> Option<u16> {
    (wanted..=wanted.saturating_add(PORTS_TRIED))
        .find(|&port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok())
}

#[expect(clippy::print_stdout, reason = "this is what the command is for")]
fn welcome((wanted, port): (u16, u16), page: &str, github: &str) {
    if port != wanted {
        println!("Port {wanted} is taken; using {port} instead.\n");
    }
    println!("Gatekeep demo. Open this address in a browser:\n");
    println!("    http://localhost:{port}{page}\n");
    println!("You will be asked who you are by a pretended GitHub ({github}):");
    println!("nothing leaves this machine, and no account is real. Then you see what an app");
    println!("behind Gatekeep learns about you. Ctrl-C ends all of it.");
}
