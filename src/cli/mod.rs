//! The command line: the only room that speaks to standard output.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::identity::UserPattern;
use crate::session::SessionKey;

mod budgets;
mod check;
mod demo;
mod explain;
mod health;
mod keys;
mod operator;
mod rekey;
mod run;
mod sessions;
mod simulate;

/// Lets people into self-hosted web apps by who they are on GitHub.
///
/// Try it without any set-up:   gatekeep demo
/// Then, for a real app:        (umask 077; gatekeep keygen > secret)
///                              gatekeep check gatekeep.yaml
///                              gatekeep run gatekeep.yaml
#[derive(Debug, Parser)]
#[command(name = "gatekeep", version, verbatim_doc_comment)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway. SIGHUP reloads FILE, SIGTERM lets requests in flight finish.
    Run {
        /// The configuration; `config/gatekeep.yaml` explains every key.
        file: PathBuf,
    },
    /// Check a configuration: every problem with its place, or what it means. Exit code 0 or 2.
    Check {
        /// The configuration.
        file: PathBuf,
    },
    /// Explain which route and rule a request meets, what is decided, and why.
    Explain(ExplainArgs),
    /// Play: a simulated GitHub, an app and the gateway, all on this machine.
    Demo {
        /// Where the gateway listens; the next free port is taken when this one is not free.
        #[arg(long, default_value_t = 4180)]
        port: u16,
        /// Behind the gateway is a stand-in for Trackeep, and the gateway is its OAuth service.
        #[arg(long)]
        trackeep: bool,
    },
    /// Print a new master secret.
    Keygen,
    /// Ask a running gateway how it is: exit code 0 when URL answers 200. For containers.
    Health {
        /// For example <http://127.0.0.1:9900/readyz>.
        url: String,
    },
    /// See and end people's sessions, at the running gateway.
    #[command(subcommand)]
    Sessions(Sessions),
    /// See and rotate the keys that sign identity tokens, at the running gateway.
    #[command(subcommand)]
    Keys(SigningKeys),
    /// Seal the store's rows under the newest master secret, at the running gateway.
    Rekey {
        #[command(flatten)]
        at: Running,
    },
    /// See what GitHub's limits leave to each user and installation, at the running gateway.
    Budgets {
        #[command(flatten)]
        at: Running,
    },
    /// Run the simulated GitHub alone, for tests and benchmarks.
    #[command(hide = true)]
    Simulate {
        /// Where it listens.
        #[arg(long, default_value = "127.0.0.1:0")]
        listen: SocketAddr,
    },
}

/// The gateway that a command speaks to, and how it answers.
#[derive(Debug, Args)]
struct Running {
    /// The configuration that the gateway runs with: its `admin` address and `secret` are used.
    file: PathBuf,
    /// Print JSON, for programs.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Sessions {
    /// List the sessions of an account, the one used last first.
    List {
        #[command(flatten)]
        at: Running,
        /// A login, or an account's number as in `id:583231`.
        #[arg(long)]
        user: UserPattern,
    },
    /// End sessions on every host and node, at once.
    Revoke {
        #[command(flatten)]
        at: Running,
        #[command(flatten)]
        which: Which,
    },
}

/// The sessions to end.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Which {
    /// All of an account: a login, or a number as in `id:583231`.
    #[arg(long)]
    user: Option<UserPattern>,
    /// One, by its key in the list.
    #[arg(long, allow_hyphen_values = true)]
    session: Option<SessionKey>,
}

#[derive(Debug, Subcommand)]
enum SigningKeys {
    /// List the keys: which signs, which are published, and until when.
    List {
        #[command(flatten)]
        at: Running,
    },
    /// Make a new key. It signs in seven minutes, when every verifier knows it.
    Rotate {
        #[command(flatten)]
        at: Running,
        /// For a stolen key: it is thrown away, and every token of it with it.
        #[arg(long)]
        at_once: bool,
    },
}

/// A request to explain, and who sends it.
#[derive(Debug, Args)]
struct ExplainArgs {
    /// The configuration.
    file: PathBuf,
    /// The method: GET, POST, ...
    method: String,
    /// The address, as in a browser.
    url: String,
    /// A signed-in visitor's login; without it, nobody is signed in.
    #[arg(long)]
    user: Option<String>,
    /// The number of the visitor's account, for lists that name it as `id:583231`.
    #[arg(long, requires = "user")]
    id: Option<u64>,
    /// An organisation of the visitor; may be repeated.
    #[arg(long = "org", requires = "user")]
    orgs: Vec<String>,
    /// A team of the visitor, `org/team`; may be repeated.
    #[arg(long = "team", requires = "user")]
    teams: Vec<String>,
    /// The visitor's verified e-mail.
    #[arg(long, requires = "user")]
    email: Option<String>,
}

/// The operator's input was refused.
const REFUSED: u8 = 2;

/// Runs the command that the arguments name.
pub fn main() -> ExitCode {
    crate::keys::install_jwt_provider();
    match Cli::parse().command {
        Command::Run { file } => run::run(&file),
        Command::Check { file } => check::check(&file),
        Command::Explain(args) => explain::explain(&args),
        Command::Demo { port, trackeep } => demo::demo(port, trackeep),
        Command::Keygen => keygen(),
        Command::Health { url } => health::health(&url),
        Command::Sessions(Sessions::List { at, user }) => sessions::list(&at, &user),
        Command::Sessions(Sessions::Revoke { at, which }) => sessions::revoke(&at, &which),
        Command::Keys(SigningKeys::List { at }) => keys::list(&at),
        Command::Keys(SigningKeys::Rotate { at, at_once }) => keys::rotate(&at, at_once),
        Command::Rekey { at } => rekey::rekey(&at),
        Command::Budgets { at } => budgets::list(&at),
        Command::Simulate { listen } => simulate::simulate(listen),
    }
}

fn keygen() -> ExitCode {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    say(&format!("{}\n", URL_SAFE_NO_PAD.encode(crate::keys::random::<32>())));
    ExitCode::SUCCESS
}

/// Prints what a command was asked for. Whoever closes the pipe has seen enough.
fn say(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

fn warn(text: &str) {
    let _ = std::io::stderr().write_all(format!("warning: {text}\n").as_bytes());
}

/// Says why a command cannot go on.
fn fail(error: &dyn std::fmt::Display, code: u8) -> ExitCode {
    let text = error.to_string();
    let prefix = if text.starts_with("error") { "" } else { "error: " };
    let _ = std::io::stderr().write_all(format!("{prefix}{}\n", text.trim_end()).as_bytes());
    ExitCode::from(code)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        super::Cli::command().debug_assert();
    }
}
