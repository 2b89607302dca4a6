//! One answer within the limits: refused, charged, or free, and with headers that say so.

use http::StatusCode;
use serde_json::json;

use super::{
    Payer, Rate, Resource,
    secondary::{Refused, reads},
};
use crate::simulator::{
    asker::Asker,
    github::Shared,
    outcome::Outcome,
    present::present,
    record::{API, Recorded, lock},
    web::Reply,
    world::World,
};

const DOCS: &str = "https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api";

/// What a request cost, beside its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::simulator) struct Receipt {
    pub(in crate::simulator) payer: Payer,
    pub(in crate::simulator) charged: u64,
    /// `None` where there are no limits.
    pub(in crate::simulator) rate: Option<Rate>,
}

/// Answers, unless the asker has asked too much or too fast. The reply carries its [`Receipt`].
pub(in crate::simulator) fn metered(
    shared: &Shared,
    request: &Recorded,
    asker: &Asker,
    answer: impl FnOnce() -> Outcome,
) -> Reply {
    let (limits, payer) = (shared.knobs.allows(), asker.payer());
    if !limits.enabled {
        let mut reply = present(shared, request, asker.audience(), answer());
        reply.extensions_mut().insert(Receipt { payer, charged: 0, rate: None });
        return reply;
    }
    lock(&shared.meter.0).windows.next_turn();
    let refused = refusal(shared, request, payer);
    let spent = rate(shared, request, payer).remaining() == 0 && !free(request);
    let exceeded = || exceeded(shared, request, asker);
    let outcome = match refused {
        Some(refused) => refused,
        None if spent && !reads(request) => exceeded(),
        None => answer(),
    };
    let mut reply = present(shared, request, asker.audience(), outcome);
    let gratis = reply.status() == StatusCode::NOT_MODIFIED && payer != Payer::Nobody;
    if spent && reads(request) && !(gratis && limits.unchanged_when_spent) {
        reply = present(shared, request, asker.audience(), exceeded());
    }
    let charged = u64::from(!(spent || gratis || free(request)));
    charge(shared, request, payer, charged);
    let rate = Some(rate(shared, request, payer));
    reply.extensions_mut().insert(Receipt { payer, charged, rate });
    reply
}

/// What is left to who asks, without counting anything.
pub(in crate::simulator) fn standing(shared: &Shared, request: &Recorded) -> Option<Rate> {
    let enabled = shared.knobs.allows().enabled;
    enabled.then(|| rate(shared, request, Payer::of(shared, request)))
}

/// `GET /rate_limit`; the newest version has no `rate` beside the `resources`.
pub(in crate::simulator) fn budgets(
    shared: &Shared,
    world: &World,
    asker: &Asker,
    newest: bool,
) -> Outcome {
    let limits = shared.knobs.allows();
    if !limits.enabled {
        return Outcome::error(StatusCode::NOT_FOUND, "Rate limiting is not enabled.");
    }
    let mut resources = json!({});
    for resource in Resource::ALL {
        let whose = (asker.payer(), resource);
        let rate = lock(&shared.meter.0).windows.rate(&limits, whose, world.now());
        resources[resource.name()] = json!({
            "limit": rate.limit, "used": rate.used, "remaining": rate.remaining(),
            "reset": world.seconds_at(rate.reset), "resource": resource.name(),
        });
    }
    let mut body = json!({ "resources": resources });
    if !newest {
        body["rate"] = body["resources"]["core"].clone();
    }
    Outcome::fine(body).untagged().with("cache-control", "no-cache".to_owned())
}

/// Whether the budget does not count this request.
fn free(request: &Recorded) -> bool {
    request.path().strip_prefix(API) == Some("/rate_limit")
}

/// Counts the request as one of this minute; the answer if that is too many.
fn refusal(shared: &Shared, request: &Recorded, payer: Payer) -> Option<Outcome> {
    let limits = shared.knobs.allows();
    let now = lock(&shared.world).now();
    let refused = lock(&shared.meter.0).haste.judge(&limits, payer, request, now).err()?;
    let status = StatusCode::from_u16(limits.status).unwrap_or(StatusCode::FORBIDDEN);
    Some(match refused {
        Refused::Banned => {
            let words = "Your integration was banned for ignoring the rate limits.";
            Outcome::error(StatusCode::FORBIDDEN, words)
        }
        Refused::For(time) => {
            let whole = time.as_secs() + u64::from(time.subsec_nanos() > 0);
            secondary(status, limits.retry_after.then_some(whole))
        }
    })
}

/// A secondary limit in GitHub's words.
pub(in crate::simulator) fn secondary(status: StatusCode, retry_after: Option<u64>) -> Outcome {
    let words = "You have exceeded a secondary rate limit. Please wait a few minutes before you \
                 try again. If you reach out to GitHub Support for help, please include the \
                 request ID.";
    let docs = format!("{DOCS}#about-secondary-rate-limits");
    let outcome = Outcome::error_with(status, words, &docs);
    match retry_after {
        Some(seconds) => outcome.with("retry-after", seconds.to_string()),
        None => outcome,
    }
}

/// The budget is spent, in GitHub's words; GraphQL says so with a 200.
fn exceeded(shared: &Shared, request: &Recorded, asker: &Asker) -> Outcome {
    let whom = match asker.person() {
        Some(caller) => format!("user ID {}.", caller.person.id),
        None => "127.0.0.1. (But here's the good news: Authenticated requests get a higher rate \
                 limit. Check out the documentation for more details.)"
            .to_owned(),
    };
    if Resource::of(request) == Resource::Graphql {
        let words = format!("API rate limit exceeded for {whom}");
        return Outcome::fine(json!({ "errors": [{ "type": "RATE_LIMITED", "message": words }] }));
    }
    let words = format!(
        "API rate limit exceeded for {whom} If you reach out to GitHub Support for help, please \
         include the request ID."
    );
    let status = shared.knobs.allows().status;
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::FORBIDDEN);
    Outcome::error_with(status, &words, &format!("{DOCS}#about-primary-rate-limits"))
}

fn rate(shared: &Shared, request: &Recorded, payer: Payer) -> Rate {
    let (limits, now) = (shared.knobs.allows(), lock(&shared.world).now());
    let whose = (payer, Resource::of(request));
    lock(&shared.meter.0).windows.rate(&limits, whose, now)
}

fn charge(shared: &Shared, request: &Recorded, payer: Payer, points: u64) {
    let (limits, now) = (shared.knobs.allows(), lock(&shared.world).now());
    let whose = (payer, Resource::of(request));
    let mut state = lock(&shared.meter.0);
    state.windows.charge(&limits, whose, now, points);
}
