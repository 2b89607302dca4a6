//! `gatekeep check`.

use std::path::Path;
use std::process::ExitCode;

use super::{REFUSED, fail, say, warn};
use crate::config::Config;

pub(super) fn check(file: &Path) -> ExitCode {
    let config = match Config::load(file) {
        Ok(config) => config,
        Err(problems) => return fail(&problems, REFUSED),
    };
    let callback = config.callback_url();
    let meant = config.describe();
    say(&format!("{meant}\n# The callback URL to register at GitHub: {callback}\n"));
    for warning in &config.warnings {
        warn(warning);
    }
    ExitCode::SUCCESS
}
