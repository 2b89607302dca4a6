//! A code is all that a server shows. Whoever runs one instance could carry the codes of its visitors to
//! another, whose server would redeem them and sign him in as them; so operators say where each asks from.

use super::*;

const OLDER: &str = "https://older.example.com/api/v1/auth/oauth/callback";

/// Both instances are asked for from `servers`; the tests ask from 127.0.0.1.
fn from(servers: &str) -> World {
    let named = |name: &str| format!("    - name: {name}\n");
    let with = |name: &str| format!("{}      servers: [{servers}]\n", named(name));
    let broker = BROKER.replace(&named("home"), &with("home"));
    let broker = broker.replace(&named("older"), &with("older"));
    world_of(&format!("trusted_proxies: [127.0.0.1]\n{broker}"))
}

#[test]
fn what_is_for_an_instance_is_worth_nothing_to_another_s_server() {
    for (servers, statuses) in
        [("127.0.0.1", [200; 2]), ("127.0.0.0/8, '::1'", [200; 2]), ("203.0.113.7", [403; 2])]
    {
        let world = from(servers);
        let mut browser = world.browser();
        let code = code_for(&world, &mut browser, "octocat");
        let signed = carried(&world, &mut browser, "octocat", &begin(OLDER));
        let signed = parameter(&signed, "token").expect("a token");
        let answers =
            [exchange(&world, &code), show(&world, "/api/v1/auth/oauth/callback", &signed)];
        assert_eq!(answers.each_ref().map(|answer| answer.status), statuses, "{servers}");
        if statuses[0] == 403 {
            let (_, error) = refusal(&answers[0]);
            assert!(error.contains("asks from elsewhere"), "{error}");
            assert_eq!(exchange(&world, &code).status, 401, "the code is used up all the same");
        }
    }
}

/// Git shows it to GitHub, say, and to whoever lists the machine's processes.
#[test]
fn a_key_that_a_server_was_given_is_good_for_that_server_alone() {
    let keys = "      servers: [127.0.0.1]\n      github_token: gateway\n";
    let broker = BROKER.replace("    - name: home\n", &format!("    - name: home\n{keys}"));
    let world = world_of(&format!("trusted_proxies: [127.0.0.1]\n{broker}"));
    let (_, token) = signed_in(&world, "octocat");
    let given = ask(&world, "/api/v1/github/user/access-token", &token);
    let key = given.json()["access_token"].as_str().expect("a key").to_owned();
    let bearer = format!("Bearer {key}");
    let from = |place: &str| {
        let mut program = Browser::new(world.gate.address).called("Trackeep").coming_from(place);
        let headers = [PLAIN[0], ("authorization", bearer.as_str())];
        program.send("GET", "https://app.example.com/github/user", &headers, "").status
    };
    assert_eq!([from("127.0.0.1"), from("203.0.113.9")], [200, 401]);
}

/// The token of a server that was copied from it.
#[test]
fn a_token_is_good_for_its_server_alone() {
    let world = from("127.0.0.1");
    let (_, token) = signed_in(&world, "octocat");
    assert!(is_good(&world, &token), "control");
    let bearer = format!("Bearer {token}");
    let headers = [PLAIN[0], ("authorization", bearer.as_str())];
    let path = format!("{SERVICE}/api/v1/github/app/info");
    let from_elsewhere = Browser::new(world.gate.address).coming_from("203.0.113.9");
    let mut elsewhere = from_elsewhere.called("Trackeep");
    assert_eq!(elsewhere.send("GET", &path, &headers, "").status, 403);
}
