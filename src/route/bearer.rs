//! Tokens of an app's own: who shows one passes to the app without a session and without an
//! identity, and the app judges it.

use http::HeaderMap;
use http::header::AUTHORIZATION;

/// What such a token looks like, and where it may be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bearer {
    /// What it begins with; empty for any.
    pub prefix: Box<str>,
    /// The parameter of the query that may carry it where there is no `Authorization`.
    pub query: Option<Box<str>>,
}

// === impl Bearer ===

impl Bearer {
    /// Whether a request shows one: alone in one `Authorization: Bearer` (RFC 6750 §2.1), or alone
    /// in the query (§2.3).
    pub fn is_shown(&self, headers: &HeaderMap, query: Option<&str>) -> bool {
        let mut fields = headers.get_all(AUTHORIZATION).iter();
        match (fields.next(), fields.next()) {
            (Some(only), None) if !only.as_bytes().trim_ascii().is_empty() => {
                only.to_str().ok().and_then(credentials).is_some_and(|token| self.fits(token))
            }
            (_, None) => self.is_in_query(query),
            _ => false,
        }
    }

    fn is_in_query(&self, query: Option<&str>) -> bool {
        let (Some(name), Some(query)) = (self.query.as_deref(), query) else { return false };
        let parameters = url::form_urlencoded::parse(query.as_bytes());
        let mut found = parameters.filter(|(key, _)| key == name);
        match (found.next(), found.next()) {
            (Some((_, token)), None) => self.fits(&token),
            _ => false,
        }
    }

    /// More than its beginning, and nothing that a token does not hold.
    fn fits(&self, token: &str) -> bool {
        token.strip_prefix(&*self.prefix).is_some_and(|rest| !rest.is_empty())
            && token.bytes().all(|b| b.is_ascii_graphic())
    }
}

/// What follows the scheme, in any letter case.
fn credentials(field: &str) -> Option<&str> {
    let (scheme, token) = field.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_start())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn shown(bearer: &Bearer, fields: &[&str], query: Option<&str>) -> bool {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(AUTHORIZATION, HeaderValue::from_str(field).unwrap());
        }
        bearer.is_shown(&headers, query)
    }

    #[test]
    fn a_token_stands_alone_behind_its_scheme() {
        let keys = Bearer { prefix: "tk_".into(), query: None };
        for (fields, is) in [
            (&["Bearer tk_0"][..], true),
            (&["bearer   tk_0"], true),
            (&["Bearer tk_"], false),
            (&["Bearer TK_0"], false),
            (&["Bearer x.tk_0"], false),
            (&["Bearer tk_0 x"], false),
            (&["Bearertk_0"], false),
            (&["tk_0"], false),
            (&["Basic dGs6XzA="], false),
            (&["Bearer tk_0", "Bearer tk_0"], false),
            (&["", "Bearer tk_0"], false),
            (&[""], false),
            (&[], false),
        ] {
            assert_eq!(shown(&keys, fields, Some("token=tk_0")), is, "{fields:?}");
        }
        assert!(shown(&Bearer::default(), &["Bearer eyJ.eyJ.x"], None));
    }

    #[test]
    fn a_query_carries_it_where_that_is_said_and_nothing_else_does() {
        let any = Bearer { prefix: "".into(), query: Some("token".into()) };
        for (fields, query, is) in [
            (&[][..], "token=eyJ", true),
            (&[], "a=b&t%6Fken=eyJ", true),
            (&[""], "token=eyJ", true),
            (&[], "token=", false),
            (&[], "Token=eyJ", false),
            (&[], "token=a&token=b", false),
            (&[], "token=a+b", false),
            (&[], "xtoken=a", false),
            (&["Basic eDp5"], "token=eyJ", false),
        ] {
            assert_eq!(shown(&any, fields, Some(query)), is, "{fields:?} {query}");
        }
        assert!(!shown(&any, &[], None));
    }
}
