//! What is kept can be read by nobody else, and in its own place alone.

use super::*;

/// Bytes that nothing can shorten, so that they would be seen if they were not sealed.
#[tokio::test]
async fn nothing_can_be_read_in_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let scene = Scene::embedded(directory.path());
    let process = scene.process();
    let marker: [u8; 64] = random();
    let page = Body::new(Bytes::from([&marker[..], &random::<4096>()].concat()));
    let shown = validation(&page, true, scene.now());
    let key: ResponseKey = random();
    process.note(OCTOCAT, key, shown.clone(), page.clone()).await.unwrap();
    process.settle().await;
    let kept = scene.process().shown(OCTOCAT, &key).await.unwrap();
    assert_eq!(kept.map(|(_, body)| body), Some(page.clone()));
    let file = std::fs::read(directory.path().join("github.redb")).unwrap();
    let is_in = |bytes: &[u8], wanted: &[u8]| bytes.windows(wanted.len()).any(|at| at == wanted);
    let id = 583_231_u64.to_be_bytes();
    // What is packed alone would be the same bytes each time.
    let packed = [row::write_body(&page.bytes), row::write_shown(&shown).unwrap()];
    for secret in [&marker[..], &packed[0][..32], &packed[1][..32], &page.hash, &key, &id] {
        assert!(!is_in(&file, secret), "{secret:?}");
    }
    assert!(is_in(&packed[0], &marker), "it would be seen");
}

#[tokio::test]
async fn a_row_in_another_s_place_is_nobody_s() {
    let scene = Scene::new();
    let process = scene.process();
    for (who, n, text) in [(OCTOCAT, 1, "a secret"), (OCTOCAT, 2, "another"), (HUBOT, 1, "mine")] {
        scene.show(&process, who, n, text).await;
    }
    process.settle().await;
    let end = scene.now() + KEPT;
    let rows = scene.rows(Table::Answer).await;
    assert_eq!(rows.len(), 3);
    for (to, own) in &rows {
        for (_, value) in rows.iter().filter(|(from, _)| from != to) {
            scene.store.put(Table::Answer, to, value.clone(), end).await.unwrap();
            let mut shown = Vec::new();
            for (who, n, text) in
                [(OCTOCAT, 1, "a secret"), (OCTOCAT, 2, "another"), (HUBOT, 1, "mine")]
            {
                let found = found(&scene, who, n).await;
                assert!(found.as_ref().is_none_or(|found| *found == body(text)));
                shown.extend(found);
            }
            assert_eq!(shown.len(), 2, "the one that was replaced is gone");
        }
        scene.store.put(Table::Answer, to, own.clone(), end).await.unwrap();
    }
    assert_eq!(found(&scene, OCTOCAT, 1).await, Some(body("a secret")), "control");
    assert_eq!(found(&scene, HUBOT, 1).await, Some(body("mine")), "control");
    // A body in another's place is not the one that was shown.
    let bodies = scene.rows(Table::AnswerBody).await;
    for (to, value) in [(0, 1), (1, 2), (2, 0)] {
        let value = bodies[value].1.clone();
        scene.store.put(Table::AnswerBody, &bodies[to].0, value, end).await.unwrap();
    }
    for (who, n) in [(OCTOCAT, 1), (OCTOCAT, 2), (HUBOT, 1)] {
        assert_eq!(found(&scene, who, n).await, None);
    }
}
