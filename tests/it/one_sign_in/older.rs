//! The same with an instance of the version before, which knows its user by a signed token.

use std::time::Duration;

use gatekeep::simulator::Trackeep;

use super::{APP, HOST, ROUTES, follow_to, holds_token, is_arrival, me, told, url};
use crate::support::World;
use crate::support::browser::parameter;

const CALLBACK: &str = "GET /api/v1/auth/oauth/callback";

const REPOS: &str = "https://trackeep.example.com/api/v1/github/repos";

const BROKER: &str = r"
broker:
  hosts: [oauth.example.com]
  instances:
    - name: home
      contract: oauth
      redirects: [https://trackeep.example.com/api/v1/auth/oauth/callback]
      allow: { orgs: [acme] }
      key: an-0auth-key-of-one-instance-alone-4711
";

const API: &str = r"
  - { name: api, host: api.example.com, upstream: github, allow: { orgs: [acme] } }
";

struct Scene {
    trackeep: Trackeep,
    world: World,
}

impl Scene {
    fn new(sign_in: &str) -> Self {
        let trackeep = Trackeep::start("127.0.0.1:0".parse().expect("an address")).expect("starts");
        let routes = ROUTES.replace("@TRACKEEP@", trackeep.url()).replace("@SIGN_IN@", sign_in);
        let world = World::with(BROKER, &format!("{routes}{API}"));
        let at = |host: &str| {
            trackeep.resolve(host, world.gate.address);
            format!("http://{host}:{}", world.gate.address.port())
        };
        trackeep.set_oauth_service(&at("oauth.example.com"));
        trackeep.set_github(&at("api.example.com"));
        trackeep.set_public_url(APP);
        trackeep.limits(false);
        Self { trackeep, world }
    }

    fn advance(&self, by: Duration) {
        self.trackeep.advance(by);
        self.world.gate.clock.advance(by);
    }

    fn sign_ins(&self) -> usize {
        self.trackeep.answered(CALLBACK, 307)
    }
}

#[test]
fn a_deep_link_leads_to_the_very_page_and_no_token_to_the_browser() {
    let scene = Scene::new("gateway");
    let deep = url("/app/notes?tag=a");
    let (mut browser, page) = scene.world.signed_in("octocat", &deep);
    assert!(is_arrival(&page), "{}", page.text());
    assert_eq!(told(&page)["username"], "octocat");
    assert_eq!(browser.get(&deep).status, 200);
    assert_eq!(me(&mut browser, &[]), (200, "octocat".to_owned()));
    assert_eq!(scene.sign_ins(), 1);
    let repos = browser.get(REPOS);
    assert_eq!((repos.status, &repos.json()["repos"][0]["name"]), (200, &"hello-world".into()));
    let seen = [page.text(), repos.text(), format!("{:?}", browser.cookies(HOST))].concat();
    assert!(!holds_token(&seen), "{seen}");
}

/// The instance's own token is good for a day, what it holds for GitHub's API for an hour.
#[test]
fn what_the_token_holds_for_github_is_renewed_in_time() {
    let scene = Scene::new("gateway");
    let (mut browser, _) = scene.world.signed_in("octocat", &url("/app"));
    for (minutes, sign_ins) in [(0, 1), (47, 1), (2, 2), (47, 2), (2, 3), (61, 4)] {
        scene.advance(Duration::from_secs(minutes * 60));
        assert_eq!(browser.get(REPOS).status, 200, "{minutes}");
        assert_eq!(scene.sign_ins(), sign_ins, "{minutes}");
    }
}

/// A token that was signed for the attacker would sign the victim in as the attacker (login CSRF).
#[test]
fn a_token_that_was_signed_for_somebody_else_never_reaches_the_instance() {
    for sign_in in ["gateway", "browser", "button"] {
        let scene = Scene::new(sign_in);
        let (mut eve, _) = scene.world.signed_in("hubot", &url("/app"));
        let (mut victim, _) = scene.world.signed_in("octocat", &url("/app"));
        let target = url("/api/v1/auth/oauth/callback");
        let asked = format!("https://oauth.example.com/auth/github?redirect_uri={target}");
        let foreign = parameter(&follow_to(&scene.world, &mut eve, &asked, "hubot"), "token");
        let own = parameter(&follow_to(&scene.world, &mut victim, &asked, "octocat"), "token");
        let (foreign, own) = (foreign.expect("a token"), own.expect("a token"));
        let before = scene.trackeep.calls(CALLBACK);
        let spoilt = format!("{own}x");
        for token in [&*foreign, "", "made-up", &spoilt, &format!("{foreign}&token={own}")] {
            let answer = victim.get(&format!("{target}?token={token}"));
            assert_eq!(answer.status, 403, "{sign_in}: {token}");
        }
        // An instance that was updated takes codes elsewhere than its configuration says.
        let other = url("/api/v1/auth/control/callback");
        assert_eq!(victim.get(&format!("{other}?token={foreign}")).status, 403, "{sign_in}");
        assert_eq!(scene.trackeep.calls(CALLBACK), before, "{sign_in}");
        if sign_in != "gateway" {
            let answer = victim.get(&format!("{target}?token={own}"));
            assert_eq!(answer.status, 307, "control: {sign_in}");
        }
    }
}

#[test]
fn a_browser_that_is_to_keep_the_token_gets_it_by_the_instances_own_pages() {
    for (sign_in, sign_ins) in [("browser", 1), ("button", 0)] {
        let scene = Scene::new(sign_in);
        let (mut browser, page) = scene.world.signed_in("octocat", &url("/app"));
        assert_eq!((page.status, scene.sign_ins()), (200, sign_ins));
        let (at, page) = browser.follow(&url("/api/v1/auth/github"));
        assert_eq!((page.status, scene.sign_ins()), (200, sign_ins + 1), "{at}");
        assert!(holds_token(&at), "the button leads to the instance's page with it: {at}");
    }
}
