//! `gatekeep run`.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use super::{REFUSED, fail};
use crate::clock::System;
use crate::config::Config;
use crate::log::{self, AccessLog};
use crate::server::{Server, Stop};

pub(super) fn run(file: &Path) -> ExitCode {
    let config = match Config::load(file) {
        Ok(config) => config,
        Err(problems) => return fail(&problems, REFUSED),
    };
    log::init(&config.log);
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let server =
        match Server::bind(config, Some(file.to_owned()), Arc::new(System), AccessLog::to_stdout())
        {
            Ok(server) => server,
            Err(error) => return fail(&error, 1),
        };
    match server.run(Stop::OnSignal) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error, 1),
    }
}
