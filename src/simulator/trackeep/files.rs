//! Files and the links that share them.

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use super::{
    Shared,
    answer::{Answered, error, fine, json_with, typed},
    local, redirect,
};
use crate::simulator::{
    record::{Recorded, lock},
    web::full,
    world::random_hex,
};

#[derive(Debug)]
struct File {
    id: u64,
    owner: u64,
    content_type: String,
    bytes: Bytes,
}

#[derive(Debug, Default)]
pub(super) struct Files {
    all: Vec<File>,
    /// The words of links, and the files they are for.
    shares: Vec<(String, u64)>,
}

// === impl File ===

impl File {
    fn shown(&self) -> Value {
        json!({
            "id": self.id, "user_id": self.owner, "original_name": format!("file-{}", self.id),
            "file_size": self.bytes.len(), "mime_type": self.content_type,
        })
    }
}

pub(super) fn list(shared: &Shared, request: &Recorded) -> Answered {
    let user = local::authenticate(shared, request)?;
    let database = lock(&shared.database);
    let own = database.files.all.iter().filter(|file| file.owner == user.id);
    Ok(fine(&own.map(File::shown).collect()))
}

/// The whole body is the file, whatever form it has.
pub(super) fn upload(shared: &Shared, request: &Recorded) -> Answered {
    let user = local::authenticate(shared, request)?;
    let files = &mut lock(&shared.database).files.all;
    let file = File {
        id: files.len() as u64 + 1,
        owner: user.id,
        content_type: request.header("content-type").unwrap_or_default().to_owned(),
        bytes: request.body.clone(),
    };
    let shown = file.shown();
    files.push(file);
    Ok(json_with(StatusCode::CREATED, &shown))
}

/// Nobody asks whose file it is.
pub(super) fn download(shared: &Shared, request: &Recorded, id: &str) -> Answered {
    local::authenticate(shared, request)?;
    let files = &lock(&shared.database).files.all;
    let file = files.iter().find(|file| id == file.id.to_string());
    let file = file.ok_or_else(|| error(StatusCode::NOT_FOUND, "File not found"))?;
    let mut reply = typed(StatusCode::OK, "application/octet-stream", String::new());
    if let Ok(content_type) = HeaderValue::from_str(&file.content_type) {
        reply.headers_mut().insert(header::CONTENT_TYPE, content_type);
    }
    *reply.body_mut() = full(file.bytes.clone());
    Ok(reply)
}

/// A link for everybody, with the host that a proxy says, whoever that is.
pub(super) fn share(shared: &Shared, request: &Recorded, id: &str) -> Answered {
    local::authenticate(shared, request)?;
    let files = &mut lock(&shared.database).files;
    let file = files.all.iter().find(|file| id == file.id.to_string()).map(|file| file.id);
    let file = file.ok_or_else(|| error(StatusCode::NOT_FOUND, "File not found"))?;
    let word = format!("share_{}", random_hex(16));
    files.shares.push((word.clone(), file));
    let scheme = request.header("x-forwarded-proto").unwrap_or("http");
    let host = redirect::part(request, "x-forwarded-host").or_else(|| request.header("host"));
    let host = host.unwrap_or_default();
    let path = format!("/api/v1/shared/{word}");
    let url = format!("{scheme}://{host}{path}");
    Ok(json_with(
        StatusCode::CREATED,
        &json!({
            "share_token": word, "share_url": path, "public_share_url": url,
        }),
    ))
}

/// `GET /api/v1/shared/:token`: for everybody.
pub(super) fn shared_with(shared: &Shared, word: &str) -> Answered {
    let files = &lock(&shared.database).files;
    let missing = || error(StatusCode::NOT_FOUND, "Shared content not found");
    let (_, id) = files.shares.iter().find(|(own, _)| own == word).ok_or_else(missing)?;
    let content = files.all.iter().find(|file| file.id == *id).map(File::shown);
    let share = json!({ "share_token": word, "content_type": "file", "content_id": id });
    Ok(fine(&json!({ "share": share, "content": content })))
}
