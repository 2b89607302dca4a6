//! What an instance lets everybody do, and the pages of its app.

use http::StatusCode;
use serde_json::json;

use super::{
    Shared,
    answer::{Answered, error, fine, typed},
    json_of,
};
use crate::simulator::{
    record::{Recorded, lock},
    web::Reply,
};

/// The version that there is an update to.
const NEWER: &str = "1.4.0";

pub(super) fn health(shared: &Shared) -> Reply {
    fine(&json!({
        "status": "ok", "message": "Trackeep API is running", "version": "1.0.0",
        "system": { "memory": { "alloc_mb": 12 } }, "timestamp": { "unix": shared.clock.unix() },
    }))
}

pub(super) fn says(status: &str) -> Reply {
    fine(&json!({ "status": status }))
}

/// Its own address is `http` here, behind whatever ends TLS.
pub(super) fn config(shared: &Shared, request: &Recorded) -> Reply {
    let host = request.header("host").unwrap_or("localhost:8080");
    fine(&json!({
        "api_url": format!("http://{host}/api/v1"), "version": "1.0.0",
        "demo_mode": shared.setting(|of| of.demo),
    }))
}

pub(super) fn demo_status(shared: &Shared) -> Reply {
    fine(&json!({ "demoMode": shared.setting(|of| of.demo) }))
}

pub(super) fn check_for_updates() -> Reply {
    fine(&json!({
        "updateAvailable": true, "currentVersion": "1.3.0", "latestVersion": NEWER,
        "updateInfo": { "version": NEWER },
    }))
}

/// Whoever names the newer version has it installed: containers start, the program starts itself anew.
pub(super) fn install_update(shared: &Shared, request: &Recorded) -> Answered {
    if json_of(request)["version"] != NEWER {
        return Err(error(StatusCode::BAD_REQUEST, "Update not available"));
    }
    lock(&shared.database).updates += 1;
    Ok(fine(&json!({ "message": "Update started", "version": NEWER })))
}

/// No WebSocket, whatever its path says.
pub(super) fn update_progress() -> Reply {
    fine(&json!({ "available": true, "downloading": false, "installing": false, "progress": 0 }))
}

/// Asks others on behalf of whoever comes.
pub(super) fn on_their_behalf() -> Reply {
    fine(&json!({ "success": true }))
}

pub(super) fn manifest() -> Reply {
    let icons = json!([{ "src": "/trackeep.svg", "sizes": "any", "type": "image/svg+xml" }]);
    let manifest = json!({
        "name": "Trackeep", "start_url": "/app", "display": "standalone", "icons": icons,
        "share_target": { "action": "/share-target", "method": "GET",
                          "params": { "title": "title", "text": "text", "url": "url" } },
    });
    typed(StatusCode::OK, "application/manifest+json", manifest.to_string())
}

pub(super) fn icon() -> Reply {
    const ICON: &str = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 16 16\">\
                        <path fill=\"#39b9ff\" d=\"M2 3h12v3H9.5v8h-3V6H2z\"/></svg>\n";
    typed(StatusCode::OK, "image/svg+xml", ICON.to_owned())
}

/// The one page of the app, for whatever path.
pub(super) fn page() -> Reply {
    typed(StatusCode::OK, "text/html; charset=utf-8", include_str!("index.html").to_owned())
}
