//! Who comes with dead tokens again and again is locked out.

use super::*;

#[test]
fn dead_tokens_lock_their_person_out_for_a_while() {
    let github = github();
    let lasts = Duration::from_secs(600);
    let [dead, live] = [(); 2].map(|()| github.token_for("octocat", "read:user"));
    let bystander = github.token_for("mona", "read:user");
    github.revoke_token(&dead);
    let status = |token: &str| get(&github, "/user", token).status;
    assert_eq!([(); 5].map(|()| status(&dead)), [401; 5], "off by default");
    github.knobs().lock_out(Some(LockOut { after: 3, lasts }));
    assert_eq!([(); 4].map(|()| status("gho_nobodys")), [401; 4]);
    assert_eq!([status(&dead), status(&dead), status(&live)], [401, 401, 200]);
    assert_eq!([status(&dead), status(&dead), status(&live)], [401, 403, 403]);
    assert_eq!(status(&bystander), 200);
    let refused = get(&github, "/user/emails", &live);
    let words = "Maximum number of login attempts exceeded. Please try again later.";
    assert_eq!((refused.status, &refused.json()["message"]), (403, &words.into()));
    github.advance(lasts);
    assert_eq!([status(&live), status(&dead)], [200, 401]);
    github.advance(Duration::from_secs(61));
    assert_eq!([status(&dead), status(&dead), status(&live)], [401, 401, 200]);
}
