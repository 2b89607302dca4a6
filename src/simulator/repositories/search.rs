//! `GET /search/issues`, with words, `repo:` and `author:`.

use serde_json::{Value, json};

use super::route::Visit;
use crate::simulator::{
    outcome::{Content, Outcome},
    web::first,
    world::World,
};

/// The issues whose title has all the words, where the asker may look.
pub(super) fn issues(visit: &Visit<'_>, world: &World) -> Outcome {
    let query = visit.request.query();
    let Some(asked) = first(&query, "q") else { return Outcome::invalid() };
    let named = |word: &str| word.strip_prefix("repo:").map(str::to_lowercase);
    let place = asked.split_whitespace().find_map(named);
    let author = asked.split_whitespace().find_map(|word| word.strip_prefix("author:"));
    let by = author.map(|login| match (login, visit.asker.person()) {
        ("@me", Some(caller)) => Some(caller.key),
        (login, _) => world.find(login),
    });
    let words: Vec<String> = asked
        .split_whitespace()
        .filter(|word| !word.contains(':'))
        .map(str::to_lowercase)
        .collect();
    let views = visit.views(world);
    let repositories = world.repositories.all().iter().filter(|it| {
        it.visible_to(visit.asker)
            && place.as_ref().is_none_or(|name| it.full_name().to_lowercase() == *name)
    });
    let found = repositories.flat_map(|it| it.issues.iter().map(move |issue| (it, issue)));
    let hits = found.filter(|(_, issue)| {
        let title = issue.title.to_lowercase();
        by.is_none_or(|author| author == Some(issue.author))
            && words.iter().all(|word| title.contains(word))
    });
    let items: Vec<Value> = hits.map(|(it, issue)| views.issue(it, issue)).collect();
    let total = items.len();
    let mut outcome = visit.page(items, &format!("{}/search/issues", visit.shared.api_url));
    if let Content::Json(items) = &mut *outcome.content {
        let page = items.take();
        *items = json!({ "total_count": total, "incomplete_results": false, "items": page });
    }
    outcome.untagged().with("cache-control", "no-cache".to_owned())
}
