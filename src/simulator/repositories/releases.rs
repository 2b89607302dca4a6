//! Releases, and the files uploaded to them, of whatever size.

use http::StatusCode;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use ring::digest::{Context, SHA256};
use serde_json::{Value, json};

use super::{
    route::{Visit, known},
    store::{Repository, Role},
};
use crate::simulator::{
    asker::Asker,
    github::Shared,
    outcome::Outcome,
    record::{Recorded, lock},
    serve::HangUp,
    web::{decode, first},
    world::{World, hex},
};

/// Where files are uploaded, as on GitHub Enterprise Server.
pub(in crate::simulator) const UPLOADS: &str = "/api/uploads";

/// A release.
#[derive(Clone, Debug)]
pub(in crate::simulator) struct Release {
    pub(super) id: u64,
    pub(super) tag: String,
    pub(super) assets: Vec<Asset>,
}

/// A file that was uploaded. Its bytes are not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asset {
    /// Its number.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// The SHA-256 of what arrived, in hexadecimal digits.
    pub sha256: String,
}

/// What is below `/releases`.
pub(super) fn route(visit: &Visit<'_>, world: &mut World, id: u64, path: &[&str]) -> Outcome {
    match (visit.method(), path) {
        ("GET", []) => list(visit, world, id),
        ("POST", []) => create(visit, world, id),
        ("GET", ["latest"]) => one(visit, world, id, |all| all.last()),
        ("GET", ["tags", tag]) => {
            one(visit, world, id, |all| all.iter().find(|release| release.tag == *tag))
        }
        ("GET", [number]) => one(visit, world, id, |all| {
            all.iter().find(|release| release.id.to_string() == *number)
        }),
        _ => Outcome::not_found(),
    }
}

fn list(visit: &Visit<'_>, world: &World, id: u64) -> Outcome {
    let repository = known(world, id);
    let releases = repository.releases.iter().rev();
    visit.page_of(id, releases.map(|it| view(visit, world, repository, it)).collect(), "/releases")
}

fn one<'w>(
    visit: &Visit<'_>,
    world: &'w World,
    id: u64,
    pick: impl FnOnce(&'w [Release]) -> Option<&'w Release>,
) -> Outcome {
    let repository = known(world, id);
    match pick(&repository.releases) {
        Some(release) => Outcome::fine(view(visit, world, repository, release)),
        None => Outcome::not_found(),
    }
}

fn create(visit: &Visit<'_>, world: &mut World, id: u64) -> Outcome {
    if let Some(refused) = visit.refused(world, id, Role::Write) {
        return refused;
    }
    let body = visit.body();
    let Some(tag) = body["tag_name"].as_str() else { return Outcome::invalid() };
    let Some(repository) = world.repositories.by_id(id) else { return Outcome::not_found() };
    repository.release(tag);
    let repository = known(world, id);
    match repository.releases.last() {
        Some(release) => Outcome::created(view(visit, world, repository, release)),
        None => Outcome::not_found(),
    }
}

// === impl Repository ===

impl Repository {
    pub(super) fn release(&mut self, tag: &str) {
        let id = self.id * 100 + self.releases.len() as u64 + 1;
        self.releases.push(Release { id, tag: tag.to_owned(), assets: Vec::new() });
    }
}

fn view(visit: &Visit<'_>, world: &World, repository: &Repository, release: &Release) -> Value {
    let url = format!("{}/releases/{}", visit.views(world).url_of(repository), release.id);
    let name = repository.full_name();
    let uploads = format!("{}{UPLOADS}/repos/{name}/releases/{}", visit.shared.url, release.id);
    let assets = release.assets.iter().map(|asset| asset_view(&url, asset));
    json!({
        "url": url, "assets_url": format!("{url}/assets"), "id": release.id,
        "upload_url": format!("{uploads}/assets{{?name,label}}"), "tag_name": release.tag,
        "html_url": format!("{}/{name}/releases/tag/{}", visit.shared.url, release.tag),
        "name": release.tag, "draft": false, "prerelease": false,
        "assets": assets.collect::<Vec<_>>(),
    })
}

fn asset_view(release: &str, asset: &Asset) -> Value {
    let at = release.rsplit_once('/').map_or(release, |(releases, _)| releases);
    json!({
        "url": format!("{at}/assets/{}", asset.id), "id": asset.id, "name": asset.name,
        "size": asset.bytes, "digest": format!("sha256:{}", asset.sha256), "state": "uploaded",
    })
}

/// Reads an upload to its end and keeps its length and its hash alone.
pub(in crate::simulator) async fn receive(mut body: Incoming) -> Result<(u64, String), HangUp> {
    let (mut length, mut hash) = (0, Context::new(&SHA256));
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(|_| HangUp)?.into_data() {
            length += data.len() as u64;
            hash.update(&data);
        }
    }
    Ok((length, hex(hash.finish().as_ref())))
}

/// `POST {UPLOADS}/repos/{owner}/{repo}/releases/{id}/assets?name=…`, its body already read.
pub(in crate::simulator) fn uploaded(
    shared: &Shared,
    request: &Recorded,
    asker: &Asker,
) -> Outcome {
    let path = request.path().strip_prefix(UPLOADS).unwrap_or_default();
    let path: Vec<String> = path.split('/').skip(1).map(decode).collect();
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let &["repos", owner, name, "releases", release, "assets"] = &path[..] else {
        return Outcome::not_found();
    };
    let (visit, query) = (Visit { shared, request, asker }, request.query());
    let world = &mut *lock(&shared.world);
    let found = world.repositories.named(&format!("{owner}/{name}"));
    let Some(id) = found.filter(|it| it.visible_to(asker)).map(|it| it.id) else {
        return Outcome::not_found();
    };
    if let Some(refused) = visit.refused(world, id, Role::Write) {
        return refused;
    }
    let (Some(file), "POST") = (first(&query, "name"), request.method.as_str()) else {
        return Outcome::error(StatusCode::BAD_REQUEST, "A name is required.");
    };
    let url = format!("{}/releases/{release}", visit.views(world).url_of(known(world, id)));
    let releases = world.repositories.by_id(id).map(|it| &mut it.releases);
    let mut releases = releases.into_iter().flatten();
    let Some(release) = releases.find(|it| it.id.to_string() == release) else {
        return Outcome::not_found();
    };
    let asset = Asset {
        id: release.id * 100 + release.assets.len() as u64 + 1,
        name: file.to_owned(),
        bytes: request.body_bytes,
        sha256: request.digest.clone().unwrap_or_default(),
    };
    release.assets.push(asset.clone());
    Outcome::created(asset_view(&url, &asset))
}
