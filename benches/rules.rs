//! The pure hot path: `cargo bench --bench rules`. The numbers are in `benches/README.md`.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use gatekeep::claims::{Claims, Parties};
use gatekeep::clock::{Manual, Time};
use gatekeep::cookie::{self, Jar};
use gatekeep::identity::Identity;
use gatekeep::keys::{Keys, SigningKey, install_jwt_provider};
use gatekeep::policy::Policy;
use gatekeep::route::{
    App, HostPattern, Passing, PathPrefix, Route, RouteTable, Timeouts, Token, Upstream,
    UpstreamAddress,
};
use gatekeep::secret::Secret;
use gatekeep::session::{Session, SessionId, SessionKey};
use gatekeep::store::{Memory, Profile, Sessions, Validators};
use gatekeep::target::Target;
use http::header::COOKIE;
use http::{HeaderMap, HeaderValue, Method};

fn route(n: usize) -> Route {
    // A quarter of the routes share one host, so that both halves of the look-up grow.
    let (host, path) = if n.is_multiple_of(4) {
        ("app.example.com".to_owned(), format!("/team-{n}/app"))
    } else {
        (format!("app-{n}.example.com"), "/".to_owned())
    };
    let address = UpstreamAddress::Tcp { host: "127.0.0.1".into(), port: 8080 };
    Route {
        index: 0,
        name: format!("route-{n}").into(),
        host: HostPattern { name: host.into(), wildcard: false, port: None },
        path: PathPrefix::new(&path),
        methods: None,
        upstream: Upstream::App(App { address, tls: None }),
        policy: Policy::default(),
        public: vec![],
        rules: vec![],
        preset: None,
        sign_in: None,
        passing: Passing::default(),
        same_origin: false,
        loose_paths: false,
        token: Token::default(),
        body_limit: 0,
        timeouts: Timeouts::default(),
        parts: vec![],
        preserve_host: true,
    }
}

fn octocat() -> Identity {
    serde_json::from_value(serde_json::json!({
        "id": 583_231, "login": "octocat", "name": "The Octocat", "email": "octocat@github.com",
        "orgs": ["acme", "octo-org", "github"],
        "teams": ["acme/platform", "acme/web", "octo-org/cats", "github/docs"],
    }))
    .expect("an identity")
}

fn target(c: &mut Criterion) {
    let host = || std::iter::once(&b"app.example.com"[..]);
    let mut group = c.benchmark_group("canonical target");
    for (name, line) in [
        ("plain", &b"/team-4000/app/notes/2026/index.html?tab=history&page=2"[..]),
        ("escaped", b"/team-4000/app/caf%C3%A9/a%20b/%7Euser?q=a>b"),
    ] {
        group.bench_function(name, |b| b.iter(|| Target::parse(black_box(line), host(), None)));
    }
    group.finish();
}

fn routes(c: &mut Criterion) {
    let mut group = c.benchmark_group("route look-up among");
    for count in [10, 1_000, 10_000] {
        let table = RouteTable::new((0..count).map(route).collect());
        let line = format!("/team-{}/app/notes/2026/index.html", (count - 2) / 4 * 4);
        let host = std::iter::once(&b"app.example.com"[..]);
        let target = Target::parse(line.as_bytes(), host, None).expect("canonical");
        table.find(&target, &Method::GET).expect("it is there");
        group.bench_function(BenchmarkId::from_parameter(count), |b| {
            b.iter(|| table.find(black_box(&target), &Method::GET).is_ok());
        });
    }
    group.finish();
}

fn cookies(c: &mut Criterion) {
    let mut headers = HeaderMap::new();
    let id = SessionId::new([7; 32]).to_text();
    let field = format!(
        "theme=dark; _ga=GA1.2.1234567890.1234567890; __Host-gatekeep={}; lang=en; csrftoken=0123456789abcdef",
        id.expose()
    );
    headers.insert(COOKIE, HeaderValue::from_str(&field).expect("plain ASCII"));
    let name = Jar::new(true).session();
    c.bench_function("cookie: find and read the session's among five", |b| {
        b.iter(|| cookie::values(black_box(&headers), name).next().and_then(SessionId::parse));
    });
    c.bench_function("cookie: the one field for the app", |b| {
        b.iter(|| cookie::for_upstream(black_box(&headers), |_, _| true));
    });
}

fn policy(c: &mut Criterion) {
    let names = |n: usize, last: &str| (0..n).map(|i| format!("org-{i}")).chain([last.to_owned()]);
    let policy = Policy {
        users: (0..20).map(|i| format!("user-{i}").parse().expect("a login")).collect(),
        orgs: names(9, "other").map(|name| name.parse().expect("an org")).collect(),
        teams: vec!["acme/admins".parse().expect("a team"), "acme/web".parse().expect("a team")],
        ..Policy::default()
    };
    let visitor = octocat();
    c.bench_function("policy: the last of 32 names fits", |b| {
        b.iter(|| policy.evaluate(black_box(&visitor)));
    });
}

fn sessions(c: &mut Criterion) {
    const COUNT: u32 = 1_000_000;
    const HOST: &str = "app.example.com";
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let keys = Keys::derive(&[Secret::new(vec![1; 32])], "realm");
    let now = Time::from_unix(1_000);
    let store = Arc::new(Memory::new(Arc::new(Manual::at(now))));
    let sessions = Sessions::<()>::new(store, 4 << 30);
    let validators = Validators::new();
    let ids: Vec<_> = runtime.block_on(async {
        let mut ids = Vec::new();
        for n in 0..COUNT {
            let account = u64::from(n) + 1;
            let session = Session {
                account,
                created: now,
                expires: now + Duration::from_secs(1_000),
                device: String::new(),
                from: None,
                api_key: None,
            };
            let profile = Profile { identity: Identity { id: account, ..octocat() }, checked: now };
            let begun = sessions.begin(&keys, session, HOST, &profile, &validators);
            let (_, id) = begun.await.expect("memory answers");
            if n % 1_000 == 0 {
                ids.push(id);
            }
        }
        ids
    });
    let mut turn = 0;
    c.bench_function("session: HMAC and look-up among a million", |b| {
        b.iter(|| {
            turn = (turn + 1) % ids.len();
            sessions.peek(&keys, black_box(&ids[turn]), HOST).is_some()
        });
    });
}

fn mint(c: &mut Criterion) {
    install_jwt_provider();
    let (key, visitor) = (SigningKey::generate(), octocat());
    let parties = Parties {
        issuer: "https://auth.example.com",
        audience: "https://app.example.com",
        github_host: "github.com",
    };
    let (sid, now) = (SessionKey::new([1; 16]), Time::from_unix(1_000));
    c.bench_function("token: mint ES256 (once in four minutes)", |b| {
        b.iter(|| key.sign(&Claims::new(parties, black_box(&visitor), sid, now)));
    });
}

criterion_group!(benches, target, routes, cookies, policy, mint, sessions);
criterion_main!(benches);
