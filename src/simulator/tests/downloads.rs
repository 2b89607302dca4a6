//! What is large, elsewhere, not ready yet, or comes too slowly.

use std::io::BufRead as _;

use super::*;

const HELLO: &str = "/repos/octocat/hello-world";

#[test]
fn statistics_are_ready_the_second_time() {
    let github = github();
    let token = github.token_for("octocat", "repo");
    let path = format!("{HELLO}/stats/contributors");
    let status = || get(&github, &path, &token).status;
    assert_eq!([status(), status(), status()], [202, 200, 200]);
    github.touch("octocat/hello-world", "README.md");
    assert_eq!([status(), status()], [202, 200]);
    assert_eq!(get(&github, &format!("{HELLO}/stats/participation"), &token).status, 202);
}

#[test]
fn an_archive_is_elsewhere_and_what_arrives_there_is_noted() {
    let github = github();
    let token = github.token_for("octocat", "repo");
    let answer = get(&github, "/repos/acme/rocket/tarball/main", &token);
    assert_eq!((answer.status, answer.body.as_str()), (302, ""));
    assert_eq!(answer.header("cache-control"), Some("public, must-revalidate, max-age=0"));
    let place = url::Url::parse(answer.header("location").unwrap()).unwrap();
    let elsewhere: SocketAddr =
        format!("{}:{}", place.host_str().unwrap(), place.port().unwrap()).parse().unwrap();
    assert_ne!(elsewhere, github.address());
    assert!(place.query().unwrap().starts_with("token="));
    let line = format!("GET {}", &place[url::Position::BeforePath..]);
    assert_eq!(ask(elsewhere, &line, "", "").status, 200);
    ask(elsewhere, &line, "Authorization: Bearer x\r\n", "");
    let came = github.downloads();
    let shown: Vec<_> = came.iter().map(|request| request.header("authorization")).collect();
    assert_eq!(shown, [None, Some("Bearer x")]);
    let public = get(&github, &format!("{HELLO}/zipball"), &token);
    assert!(public.header("location").unwrap().ends_with("/legacy.zip/refs/heads/main"));
}

#[test]
fn an_upload_of_any_size_is_counted_and_hashed() {
    let github = github();
    let token = github.token_for("octocat", "repo");
    let release = get(&github, &format!("{HELLO}/releases/latest"), &token).json();
    let template = release["upload_url"].as_str().unwrap();
    let place = template.strip_suffix("{?name,label}").unwrap();
    assert!(place.starts_with(&format!("{}/repos/", github.uploads_url())));
    let line = format!("POST {}?name=a.bin", target(place));
    let authorization = format!("Authorization: Bearer {token}\r\n");
    let body = "x".repeat(3 * 1024 * 1024);
    let made = ask(github.address(), &line, &authorization, &body);
    let hash = ring::digest::digest(&ring::digest::SHA256, body.as_bytes());
    let sha256 = world::hex(hash.as_ref());
    assert_eq!((made.status, &made.json()["size"]), (201, &body.len().into()));
    assert_eq!(made.json()["digest"], format!("sha256:{sha256}"));
    let asset = &github.assets("octocat/hello-world")[0];
    assert_eq!(
        (asset.bytes, &asset.sha256, asset.name.as_str()),
        (body.len() as u64, &sha256, "a.bin")
    );
    let seen = github.requests().pop().unwrap();
    assert_eq!((seen.body_bytes, seen.body.len()), (body.len() as u64, 0));
    let again = get(&github, &format!("{HELLO}/releases/latest"), &token).json();
    assert_eq!(again["assets"][0]["name"], "a.bin");
    let stranger = format!("Authorization: Bearer {}\r\n", github.token_for("stranger", "repo"));
    assert_eq!(ask(github.address(), &line, &stranger, "x").status, 403);
}

#[test]
fn a_large_body_is_made_while_it_is_sent() {
    let github = github();
    let token = github.token_for("octocat", "repo");
    let mut stream = TcpStream::connect(github.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let request = format!(
        "GET /api/v3/blob/300000000 HTTP/1.1\r\nHost: h\r\nUser-Agent: t\r\n\
         Authorization: Bearer {token}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut reader = std::io::BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        reader.read_line(&mut head).unwrap();
    }
    assert!(head.contains("content-length: 300000000\r\n") && !head.contains("etag"), "{head}");
    let came = std::io::copy(&mut reader, &mut std::io::sink()).unwrap();
    assert_eq!(came, 300_000_000);
}

#[test]
fn polls_are_told_how_often() {
    let github = github();
    let token = github.token_for("mona", "repo");
    for path in ["/notifications", "/events", "/repos/octocat/hello-world/events"] {
        let answer = get(&github, path, &token);
        assert_eq!((answer.status, answer.header("x-poll-interval")), (200, Some("60")), "{path}");
    }
    let threads = get(&github, "/notifications", &token).json();
    assert_eq!(threads[0]["subject"]["title"], "Issue number 1");
    assert_eq!(ask(github.address(), "GET /api/v3/notifications", "", "").status, 401);
}

#[test]
fn a_body_may_stall_and_errors_may_come_in_bursts() {
    let github = github();
    let token = github.token_for("octocat", "repo");
    github.knobs().once(HELLO, Trouble::Stall { after: 10 });
    let mut stream = TcpStream::connect(github.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let request = format!(
        "GET /api/v3{HELLO} HTTP/1.1\r\nHost: h\r\nUser-Agent: t\r\n\
         Authorization: Bearer {token}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let (mut came, mut buffer) = (Vec::new(), [0; 1024]);
    let body =
        |came: &[u8]| String::from_utf8_lossy(came).split_once("\r\n\r\n").map(|it| it.1.len());
    while body(&came).is_none_or(|length| length < 10) {
        let read = stream.read(&mut buffer).unwrap();
        came.extend_from_slice(&buffer[..read]);
    }
    assert_eq!(body(&came), Some(10));
    stream.set_nonblocking(true).unwrap();
    let error = stream.read(&mut buffer).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock, "open, and nothing comes");
    github.knobs().times(2, HELLO, Trouble::answer(502, "text/html", "oops"));
    let status = || get(&github, HELLO, &token).status;
    assert_eq!([status(), status(), status()], [502, 502, 200]);
}
