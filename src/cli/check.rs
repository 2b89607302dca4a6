//! `gatekeep check`.

use std::path::Path;
use std::process::ExitCode;

use super::{REFUSED, fail};
use crate::config::Config;

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "this is what the command is for")]
pub(super) fn check(file: &Path) -> ExitCode {
    let config = match Config::load(file) {
        Ok(config) => config,
        Err(problems) => return fail(&problems, REFUSED),
    };
    print!("{}", config.describe());
    println!("\n# The callback URL to register at GitHub: {}", config.callback_url());
    for warning in &config.warnings {
        eprintln!("warning: {warning}");
    }
    ExitCode::SUCCESS
}
