//! The order of the `mod` lines in `src/lib.rs` is the architecture: this holds its arrows.

use std::fs;
use std::path::{Path, PathBuf};

fn sources(room: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(room).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The rooms in order, with their files and the text of each without its comments.
fn rooms() -> Vec<(String, Vec<(PathBuf, String)>)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let map = fs::read_to_string(src.join("lib.rs")).expect("the map");
    let names = map.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    let room = |name: &str| {
        let mut files = Vec::new();
        match src.join(name) {
            directory if directory.is_dir() => sources(&directory, &mut files),
            file => files.push(file.with_extension("rs")),
        }
        let text = |path: &PathBuf| {
            let text = fs::read_to_string(path).expect("a source");
            text.lines()
                .filter(|line| !line.trim_start().starts_with("//"))
                .collect::<Vec<_>>()
                .join("\n")
        };
        (name.to_owned(), files.iter().map(|path| (path.clone(), text(path))).collect())
    };
    names.map(room).collect()
}

#[test]
fn a_room_uses_only_rooms_declared_above_it() {
    let rooms = rooms();
    assert!(rooms.len() > 15, "the map was read");
    for (place, (name, files)) in rooms.iter().enumerate() {
        for (below, _) in &rooms[place + 1..] {
            for (path, text) in files {
                let uses = text.contains(&format!("crate::{below}::"))
                    || text.contains(&format!("crate::{below};"));
                assert!(
                    !uses,
                    "`{name}` uses `{below}`, which is declared below it: {}",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn the_server_alone_names_pingora() {
    for (name, files) in rooms().iter().filter(|(name, _)| name != "server") {
        for (path, text) in files {
            let names = text.contains("pingora::") || text.contains("use pingora");
            assert!(!names, "`{name}` names Pingora: {}", path.display());
        }
    }
}

#[test]
fn the_simulator_uses_nothing_of_ours() {
    let rooms = rooms();
    let (_, files) = rooms.iter().find(|(name, _)| name == "simulator").expect("a simulator");
    for (path, text) in files {
        let others = text
            .match_indices("crate::")
            .filter(|(at, _)| !text[*at..].starts_with("crate::simulator"));
        assert_eq!(others.count(), 0, "{} uses something of ours", path.display());
    }
}
