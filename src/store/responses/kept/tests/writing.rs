//! What is written, and how much of it.

use super::*;

#[tokio::test]
async fn a_confirmation_is_not_written_each_time() {
    let scene = Scene::new();
    let process = scene.process();
    let row = async || {
        process.settle().await;
        scene.rows(Table::Answer).await.remove(0).1
    };
    scene.show(&process, OCTOCAT, 1, "page").await;
    let first = row().await;
    scene.clock.advance(Duration::from_secs(599));
    scene.show(&process, OCTOCAT, 1, "page").await;
    assert_eq!(row().await, first);
    scene.clock.advance(Duration::from_secs(1));
    scene.show(&process, OCTOCAT, 1, "page").await;
    let second = row().await;
    assert_ne!(second, first, "now and then it is");
    scene.show(&process, OCTOCAT, 1, "another page").await;
    assert_ne!(row().await, second, "and at once where something has changed");
    assert_eq!(found(&scene, OCTOCAT, 1).await, Some(body("another page")));
}

#[tokio::test]
async fn a_body_is_kept_once() {
    let scene = Scene::new();
    let process = scene.process();
    for n in 0..20 {
        scene.show(&process, OCTOCAT, n, "page").await;
        scene.show(&process, HUBOT, n, "page").await;
    }
    process.settle().await;
    assert_eq!(scene.rows(Table::Answer).await.len(), 40);
    assert_eq!(scene.rows(Table::AnswerBody).await.len(), 1);
    assert_eq!(scene.rows(Table::Asker).await.len(), 3, "a word each, and the word of all");
}

#[tokio::test]
async fn a_store_without_a_bound_is_held_within_one() {
    let scene = Scene { bound: 64 << 10, ..Scene::new() };
    let process = scene.process();
    for n in 0..400 {
        // Letters without a pattern do not shrink.
        let text = URL_SAFE_NO_PAD.encode((0..48).flat_map(|_| random::<8>()).collect::<Vec<_>>());
        scene.show(&process, OCTOCAT, n, &text).await;
        process.settle().await;
    }
    let mut bytes = 0;
    for table in [Table::Answer, Table::AnswerBody] {
        bytes +=
            scene.rows(table).await.iter().map(|(name, row)| name.len() + row.len()).sum::<usize>();
    }
    assert!((16 << 10..=64 << 10).contains(&bytes), "{bytes}");
    let mut new = 0;
    for n in 380..400 {
        new += usize::from(found(&scene, OCTOCAT, n).await.is_some());
    }
    assert!(new > 0, "something of what is new is there");
}

#[tokio::test]
async fn a_file_stays_within_its_bound() {
    let directory = tempfile::tempdir().unwrap();
    let scene = Scene::embedded(directory.path());
    let process = scene.process();
    for n in 0..300 {
        let bytes: Vec<u8> = (0..875).flat_map(|_| random::<8>()).collect();
        let page = Body::new(Bytes::from(bytes));
        let shown = validation(&page, false, scene.now());
        process.note(OCTOCAT, key(n), shown, page).await.unwrap();
        process.settle().await;
    }
    let bodies: usize = scene.rows(Table::AnswerBody).await.iter().map(|row| row.1.len()).sum();
    let bound = usize::try_from(BOUND).unwrap();
    assert!((bound / 2..=bound).contains(&bodies), "{bodies}");
    assert!(found(&scene, OCTOCAT, 299).await.is_some(), "what is new is there");
    assert_eq!(found(&scene, OCTOCAT, 0).await, None);
    let length = std::fs::metadata(directory.path().join("github.redb")).unwrap().len();
    println!("{bodies} bytes of bodies in a file of {length}");
    assert!(length < 6 * BOUND, "{length}");
}
