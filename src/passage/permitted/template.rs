//! Templates of paths: `/repos/*/*/issues/**`.
//!
//! `*` or `{name}` is one segment, `word*` one that begins so, and `**` any number of segments,
//! none included. Everything else is itself, in any letter case.

use super::reading::Segment;

/// What becomes of a segment whose name is not known, against a template that names one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    /// It fits: for denials.
    Fits,
    /// It does not: for allowances.
    Differs,
}

/// Whether a path fits a template in lower case, which holds one `**` at most.
pub(super) fn fits(template: &str, path: &[Segment], doubt: Doubt) -> bool {
    // By bytes: for parts as short as these a search by vectors costs more than it saves.
    let mut parts = template.as_bytes().split(|byte| *byte == b'/').skip(1);
    let mut rest = path;
    while let Some(part) = parts.next() {
        if part == b"**" {
            let tail = rest.len().checked_sub(parts.clone().count());
            let all_fit =
                |tail| parts.zip(tail).all(|(part, segment)| part_fits(part, segment, doubt));
            return tail.is_some_and(|start| all_fit(&rest[start..]));
        }
        match rest {
            [segment, after @ ..] if part_fits(part, segment, doubt) => rest = after,
            _ => return false,
        }
    }
    rest.is_empty()
}

fn part_fits(part: &[u8], segment: &Segment, doubt: Doubt) -> bool {
    if part == b"*" || part.starts_with(b"{") {
        return true;
    }
    match (segment, part.strip_suffix(b"*")) {
        (Segment::Text(text), Some(start)) => text.as_bytes().starts_with(start),
        (Segment::Text(text), None) => text.as_bytes() == part,
        (Segment::Unknown, _) => doubt == Doubt::Fits,
    }
}
