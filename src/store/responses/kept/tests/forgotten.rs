//! What was forgotten does not come back.

use super::*;

#[tokio::test]
async fn what_was_forgotten_does_not_open_again() {
    let scene = Scene::new();
    let process = scene.process();
    for n in 0..3 {
        scene.show(&process, OCTOCAT, n, "page").await;
        scene.show(&process, HUBOT, n, "page").await;
    }
    process.settle().await;
    let (words, rows) = (scene.rows(Table::Asker).await, scene.rows(Table::Answer).await);
    assert_eq!((words.len(), rows.len()), (3, 6), "a word each, and the word of all");
    process.forget_all(OCTOCAT).await.unwrap();
    assert_eq!(scene.rows(Table::Asker).await.len(), 2);
    assert_eq!(scene.rows(Table::Answer).await.len(), 3, "what this process wrote is gone as well");
    // Whoever wrote them knows nothing of it: what is left does not open.
    for (name, row) in &rows {
        let end = scene.now() + KEPT;
        scene.store.put(Table::Answer, name, row.clone(), end).await.unwrap();
    }
    for n in 0..3 {
        assert_eq!(found(&scene, OCTOCAT, n).await, None);
        assert_eq!(found(&scene, HUBOT, n).await, Some(body("page")));
    }
    scene.show(&process, OCTOCAT, 1, "page").await;
    process.settle().await;
    assert_eq!(found(&scene, OCTOCAT, 1).await, Some(body("page")));
    assert_eq!(found(&scene, OCTOCAT, 2).await, None, "by the new word neither");
}

#[tokio::test]
async fn what_another_process_has_forgotten_is_not_brought_back() {
    let scene = Scene::new();
    let (one, other) = (scene.process(), scene.process());
    scene.show(&one, OCTOCAT, 1, "page").await;
    one.settle().await;
    other.forget_all(OCTOCAT).await.unwrap();
    scene.show(&one, OCTOCAT, 2, "page").await;
    one.settle().await;
    assert_eq!(found(&scene, OCTOCAT, 1).await, None);
    assert_eq!(found(&scene, OCTOCAT, 2).await, Some(body("page")));
}

/// Whatever of it is left in the store, or comes back: without the word of all none of it opens.
#[tokio::test]
async fn everything_is_forgotten_at_once() {
    let scene = Scene::new();
    let (process, other) = (scene.process(), scene.process());
    let page = body("page");
    for who in [OCTOCAT, HUBOT] {
        let shown = validation(&page, true, scene.now());
        process.note(who, key(1), shown, page.clone()).await.unwrap();
    }
    process.settle().await;
    let offered = async || scene.process().shown_to_anybody(&key(1)).await.unwrap().is_some();
    assert!(found(&scene, HUBOT, 1).await.is_some() && offered().await, "control");
    let mut rows = Vec::new();
    for table in [Table::Asker, Table::Answer, Table::AnswerBody] {
        rows.extend(scene.rows(table).await.into_iter().map(|row| (table, row)));
    }
    other.forget_everything().await.unwrap();
    let common = row::Row::CommonWord.name(&keys(&[1]));
    let end = scene.now() + KEPT;
    for (table, (name, row)) in rows.iter().filter(|(_, (name, _))| name[..] != common) {
        scene.store.put(*table, name, row.clone(), end).await.unwrap();
    }
    // Whoever wrote them goes on writing, and nothing of it makes them open.
    scene.show(&process, HUBOT, 2, "another page").await;
    process.settle().await;
    for who in [OCTOCAT, HUBOT] {
        assert_eq!(found(&scene, who, 1).await, None);
    }
    assert!(!offered().await);
    assert_eq!(found(&scene, HUBOT, 2).await, Some(body("another page")), "what came after");
}

/// What one process has forgotten with everything, it removes where the store has no bound of its own.
#[tokio::test]
async fn what_was_forgotten_with_everything_takes_no_room() {
    let scene = Scene::new();
    let process = scene.process();
    for n in 0..20 {
        scene.show(&process, OCTOCAT, n, "page").await;
    }
    process.settle().await;
    assert_eq!(scene.rows(Table::Answer).await.len(), 20);
    process.forget_everything().await.unwrap();
    process.settle().await;
    assert_eq!(scene.rows(Table::Answer).await.len(), 0);
    assert_eq!(scene.rows(Table::AnswerBody).await.len(), 0);
}
