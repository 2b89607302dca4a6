use std::sync::Mutex;

use http::{HeaderMap, StatusCode};

use super::*;
use crate::budget::Limited;
use crate::clock::{Manual, Time};
use crate::route::LimitStatus;

mod left;
mod pauses;
mod told;
mod turns;

const NOW: i64 = 1_000_000;
const ISSUES: &str = "/repos/{owner}/{repo}/issues";
const QUICK: Duration = Duration::from_millis(20);

struct World {
    budgets: Arc<Budgets>,
    clock: Arc<Manual>,
    metrics: Arc<Metrics>,
}

impl World {
    fn new() -> Self {
        let clock = Arc::new(Manual::at(Time::from_unix(NOW)));
        let metrics = Arc::new(Metrics::new());
        let budgets = Arc::new(Budgets::new(clock.clone(), metrics.clone()));
        Self { budgets, clock, metrics }
    }

    async fn enter(&self, call: Call<'static>) -> Result<Permit, Refused> {
        self.budgets.enter(call).await
    }

    /// A request that is answered at once.
    async fn ask(
        &self,
        call: Call<'static>,
        status: u16,
        fields: &HeaderMap,
        body: &str,
    ) -> Option<Limited> {
        let mut permit = self.enter(call).await.expect("a permit");
        let status = StatusCode::from_u16(status).unwrap();
        permit.answered(status, fields, body.as_bytes(), QUICK)
    }

    /// Has them all wait at once, in this order; each takes a moment. Says who began when.
    async fn send_all(&self, calls: Vec<Call<'static>>) -> Vec<(u64, Duration, bool)> {
        let (begun, log) = (Instant::now(), Arc::new(Mutex::new(Vec::new())));
        let mut tasks = Vec::new();
        for call in calls {
            let (budgets, log, caller) = (self.budgets.clone(), log.clone(), call.caller);
            tasks.push(tokio::spawn(async move {
                let permit = budgets.enter(call).await;
                log.lock().unwrap().push((caller, begun.elapsed(), permit.is_ok()));
                tokio::time::sleep(QUICK).await;
            }));
            tokio::task::yield_now().await;
        }
        for task in tasks {
            task.await.unwrap();
        }
        Arc::into_inner(log).unwrap().into_inner().unwrap()
    }

    fn hear(&self, limits: &[Limit]) {
        for limit in limits {
            self.budgets.heed(limit);
        }
    }

    /// What other nodes are to be told now.
    async fn told(&self) -> Vec<Limit> {
        timeout_at(Instant::now() + QUICK, self.budgets.to_tell()).await.unwrap_or_default()
    }

    fn metric(&self, line: &str) -> bool {
        String::from_utf8(self.metrics.encode()).unwrap().lines().any(|found| found == line)
    }
}

fn get(caller: u64) -> Call<'static> {
    let (method, path) = (&Method::GET, "/user");
    let key = BudgetKey::User(1);
    let max_wait = Duration::from_secs(5);
    Call { key, caller, method, path, template: path, kind: Kind::Ordinary, max_wait }
}

fn create(caller: u64) -> Call<'static> {
    let (method, path) = (&Method::POST, "/repos/o/r/issues");
    Call { method, path, template: ISSUES, max_wait: Duration::from_secs(31), ..get(caller) }
}

fn of_kind(kind: Kind) -> Call<'static> {
    Call { kind, ..get(1) }
}

fn rate(resource: &str, remaining: u32, reset: i64) -> HeaderMap {
    let limit = if resource == "core" { 5000 } else { 30 };
    let standing = Standing {
        resource: Resource::from_header(resource).unwrap(),
        limit,
        remaining,
        used: limit - remaining,
        reset: Time::from_unix(reset),
    };
    standing.fields().collect()
}

fn smallest_gap(begun: &[(u64, Duration, bool)]) -> Duration {
    begun.windows(2).map(|pair| pair[1].1.saturating_sub(pair[0].1)).min().unwrap()
}
