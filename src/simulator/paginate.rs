//! Pages of a list, and the `Link` header that leads from one to the next.

use super::web::{Pairs, encode, first};

const DEFAULT: usize = 30;
const MOST: usize = 100;

/// Which page is wanted.
pub(super) struct Wanted {
    page: usize,
    per_page: usize,
    others: Pairs,
}

// === impl Wanted ===

impl Wanted {
    /// Reads `page` and `per_page` as GitHub does: what makes no sense is as if it were not there.
    pub(super) fn read(query: Pairs) -> Self {
        let number = |name, otherwise| {
            let sensible = |number: &usize| *number > 0;
            let number = first(&query, name).and_then(|value| value.parse().ok());
            number.filter(sensible).unwrap_or(otherwise)
        };
        let (page, per_page) = (number("page", 1), number("per_page", DEFAULT).min(MOST));
        let others = query.into_iter().filter(|(name, _)| name != "page").collect();
        Self { page, per_page, others }
    }

    /// The wanted part of the list, and its `Link` header if there is more than one page.
    pub(super) fn cut<T>(&self, items: Vec<T>, url: &str) -> (Vec<T>, Option<String>) {
        let pages = items.len().div_ceil(self.per_page).max(1);
        let skip = (self.page - 1).saturating_mul(self.per_page);
        let part = items.into_iter().skip(skip).take(self.per_page).collect();
        (part, self.link(pages, url))
    }

    fn link(&self, pages: usize, url: &str) -> Option<String> {
        let mut to = Vec::new();
        if self.page > 1 {
            to.push(("prev", (self.page - 1).min(pages)));
        }
        if self.page < pages {
            to.extend([("next", self.page + 1), ("last", pages)]);
        }
        if self.page > 1 {
            to.push(("first", 1));
        }
        let one = |(rel, page)| format!("<{url}?{}>; rel=\"{rel}\"", self.query(page));
        (!to.is_empty()).then(|| to.into_iter().map(one).collect::<Vec<_>>().join(", "))
    }

    fn query(&self, page: usize) -> String {
        encode(self.others.iter().chain([&("page".to_owned(), page.to_string())]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(query: &str, items: usize) -> (usize, Option<String>) {
        let wanted = Wanted::read(super::super::web::pairs(query.as_bytes()));
        let (part, link) = wanted.cut((0..items).collect(), "http://h/t");
        (part.len(), link)
    }

    #[test]
    fn links_lead_on_and_back() {
        assert_eq!(page("", 30), (30, None));
        assert_eq!(
            page("per_page=100", 132),
            (
                100,
                Some(
                    "<http://h/t?per_page=100&page=2>; rel=\"next\", \
                     <http://h/t?per_page=100&page=2>; rel=\"last\""
                        .to_owned()
                )
            )
        );
        assert_eq!(
            page("page=2", 70),
            (
                30,
                Some(
                    "<http://h/t?page=1>; rel=\"prev\", <http://h/t?page=3>; rel=\"next\", \
                     <http://h/t?page=3>; rel=\"last\", <http://h/t?page=1>; rel=\"first\""
                        .to_owned()
                )
            )
        );
        assert_eq!(page("page=3", 70).0, 10);
        assert_eq!(page("page=9", 70).0, 0);
    }

    #[test]
    fn a_page_holds_a_hundred_at_most_and_nonsense_is_ignored() {
        assert_eq!(page("per_page=1000", 132).0, 100);
        assert_eq!(page("per_page=0&page=x", 132).0, 30);
    }
}
