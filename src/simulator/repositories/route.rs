//! Which part of the API a path belongs to, and whether there is anything for who asks.

use http::StatusCode;
use serde_json::{Value, json};

use super::{
    changes, downloads, files, issues, odds, releases,
    store::{Repository, Role},
    views::Views,
};
use crate::simulator::{
    asker::Asker,
    github::Shared,
    outcome::{Content, Outcome},
    paginate::Wanted,
    record::{Recorded, lock},
    rest::segments,
    web::decode,
    world::World,
};

const REDIRECTS: &str = "https://docs.github.com/rest/guides/\
                         best-practices-for-using-the-rest-api#follow-redirects";

/// One request about a repository or what is around it.
pub(super) struct Visit<'a> {
    pub(super) shared: &'a Shared,
    pub(super) request: &'a Recorded,
    pub(super) asker: &'a Asker,
}

/// What came of looking for a repository.
enum Found {
    Here(u64),
    Moved(u64),
    Nowhere,
}

/// Answers what is about repositories, people and the API itself; `None` for what is not.
pub(in crate::simulator) fn route(
    shared: &Shared,
    request: &Recorded,
    asker: &Asker,
) -> Option<Outcome> {
    let visit = Visit { shared, request, asker };
    let path: Vec<String> = segments(request).map(decode).collect();
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let world = &mut *lock(&shared.world);
    match path[..] {
        ["repos", owner, name, ref rest @ ..] => {
            Some(visit.repository(world, &format!("{owner}/{name}"), rest))
        }
        ["repositories", id, ref rest @ ..] => {
            let id = id.parse().ok()?;
            let known = visit.sees(world, id);
            Some(if known { visit.inside(world, id, rest) } else { Outcome::not_found() })
        }
        _ => odds::route(&visit, world, &path),
    }
}

// === impl Visit ===

impl Visit<'_> {
    pub(super) fn method(&self) -> &str {
        match self.request.method.as_str() {
            "HEAD" => "GET",
            method => method,
        }
    }

    pub(super) fn views<'w>(&self, world: &'w World) -> Views<'w>
    where
        Self: 'w,
    {
        Views::new(self.shared, world)
    }

    /// The request's body, which is an object or nothing.
    pub(super) fn body(&self) -> Value {
        serde_json::from_slice(&self.request.body).unwrap_or_default()
    }

    /// One page of a list that is found at this address.
    pub(super) fn page(&self, items: Vec<Value>, url: &str) -> Outcome {
        let (part, link) = Wanted::read(self.request.query()).cut(items, url);
        Outcome::page(part, link)
    }

    /// The same, below the repository's number, as GitHub's links are.
    pub(super) fn page_of(&self, id: u64, items: Vec<Value>, below: &str) -> Outcome {
        self.page(items, &format!("{}/repositories/{id}{below}", self.shared.api_url))
    }

    fn repository(&self, world: &mut World, full_name: &str, rest: &[&str]) -> Outcome {
        match self.find(world, full_name) {
            Found::Here(id) => self.inside(world, id, rest),
            Found::Moved(id) => self.moved(id, rest),
            Found::Nowhere => Outcome::not_found(),
        }
    }

    fn find(&self, world: &mut World, full_name: &str) -> Found {
        let asker = self.asker;
        if let Some(here) = world.repositories.named(full_name) {
            return if here.visible_to(asker) { Found::Here(here.id) } else { Found::Nowhere };
        }
        match world.repositories.formerly(full_name) {
            Some(moved) if moved.visible_to(asker) => Found::Moved(moved.id),
            _ => Found::Nowhere,
        }
    }

    fn sees(&self, world: &mut World, id: u64) -> bool {
        world.repositories.by_id(id).is_some_and(|it| it.visible_to(self.asker))
    }

    /// Leads to the number, which never changes: 301, or 307 for what must not become a GET.
    fn moved(&self, id: u64, rest: &[&str]) -> Outcome {
        let reads = self.method() == "GET";
        let (status, words) = if reads {
            (StatusCode::MOVED_PERMANENTLY, "Moved Permanently")
        } else {
            (StatusCode::TEMPORARY_REDIRECT, "Temporary Redirect")
        };
        // What follows the name, byte for byte: `/api/v3/repos/owner/name` is five segments.
        let below = self.request.target.split_inclusive('/').skip(6).collect::<String>();
        let query = self.request.target.split_once('?').map(|(_, query)| format!("?{query}"));
        let below = if rest.is_empty() { query.unwrap_or_default() } else { format!("/{below}") };
        let url = format!("{}/repositories/{id}{below}", self.shared.api_url);
        let body = json!({ "message": words, "url": url, "documentation_url": REDIRECTS });
        Outcome::new(status, Content::Json(body)).with("location", url)
    }

    /// What is below a repository that the asker sees.
    fn inside(&self, world: &mut World, id: u64, rest: &[&str]) -> Outcome {
        match *rest {
            [] => self.itself(world, id),
            ["issues" | "labels" | "pulls", ..] => issues::route(self, world, id, rest),
            ["commits" | "branches" | "git", ..] => changes::route(self, world, id, rest),
            ["contents", ref path @ ..] => files::route(self, world, id, path),
            ["releases", ref path @ ..] => releases::route(self, world, id, path),
            ["stats" | "tarball" | "zipball" | "events", ..] => {
                downloads::route(self, world, id, rest)
            }
            _ => Outcome::not_found(),
        }
    }

    fn itself(&self, world: &mut World, id: u64) -> Outcome {
        match self.method() {
            "GET" => {}
            "PATCH" => {
                if let Some(refused) = self.refused(world, id, Role::Admin) {
                    return refused;
                }
                self.edit(world, id);
            }
            _ => return Outcome::not_found(),
        }
        let repository = known(world, id);
        let body = self.views(world).repository(repository, self.asker);
        Outcome::fine(body).changed(repository.changed)
    }

    fn edit(&self, world: &mut World, id: u64) {
        let (body, now) = (self.body(), world.now());
        let Some(repository) = world.repositories.by_id(id) else { return };
        repository.changed = now;
        if let Some(private) = body["private"].as_bool() {
            repository.private = private;
        }
        let (owner, before) = (repository.owner.clone(), repository.full_name());
        if let Some(name) = body["name"].as_str() {
            world.repositories.rename(&before, (&owner, name));
        }
    }

    /// Why the asker may not do what needs this role; `None` if they may.
    pub(super) fn refused(&self, world: &mut World, id: u64, role: Role) -> Option<Outcome> {
        let repository = world.repositories.by_id(id)?;
        if self.asker.person().is_none() {
            return Some(Outcome::requires_authentication());
        }
        if !repository.writable_by(self.asker) {
            return Some(Outcome::not_found());
        }
        let words = match role {
            Role::Admin => "Must have admin rights to Repository.",
            _ => "Resource not accessible: write access to the repository is required.",
        };
        let enough = repository.role(self.asker).is_some_and(|has| has >= role);
        (!enough).then(|| Outcome::error(StatusCode::FORBIDDEN, words))
    }
}

/// The repository of this number, which was just found.
pub(super) fn known(world: &World, id: u64) -> &Repository {
    let found = world.repositories.all().iter().find(|it| it.id == id);
    found.expect("the world is locked since it was found")
}
