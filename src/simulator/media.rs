//! Media types: which form of a resource `Accept` asks for.

use super::record::Recorded;

/// The forms the API has (`application/vnd.github.FORM+json`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    Raw,
    Diff,
    Patch,
    Sha,
}

// === impl Form ===

impl Form {
    /// What the first of GitHub's media types in `Accept` asks for; JSON if there is none.
    pub(super) fn of(request: &Recorded) -> Self {
        let accept = request.header("accept").unwrap_or_default();
        let mut types = accept.split(',').map(|one| one.split(';').next().unwrap_or(one).trim());
        types.find_map(Self::named).unwrap_or(Self::Json)
    }

    fn named(media_type: &str) -> Option<Self> {
        let words = media_type.strip_prefix("application/vnd.github")?;
        let words = words.strip_suffix("+json").unwrap_or(words);
        match words.rsplit('.').next()? {
            "raw" => Some(Self::Raw),
            "diff" => Some(Self::Diff),
            "patch" => Some(Self::Patch),
            "sha" => Some(Self::Sha),
            _ => Some(Self::Json),
        }
    }

    /// `X-GitHub-Media-Type`.
    pub(super) fn header(self) -> &'static str {
        match self {
            Self::Json => "github.v3; format=json",
            Self::Raw => "github.v3; param=raw; format=json",
            Self::Diff => "github.v3; param=diff; format=json",
            Self::Patch => "github.v3; param=patch; format=json",
            Self::Sha => "github.v3; param=sha; format=json",
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::Request;

    use super::*;

    #[test]
    fn githubs_first_media_type_decides() {
        for (accept, form) in [
            ("", Form::Json),
            ("*/*", Form::Json),
            ("application/vnd.github+json", Form::Json),
            ("application/vnd.github.v3+json", Form::Json),
            ("application/vnd.github.raw+json", Form::Raw),
            ("text/html, application/vnd.github.v3.diff; q=1", Form::Diff),
            ("application/vnd.github.sha", Form::Sha),
            ("application/vnd.github.patch, application/vnd.github.raw", Form::Patch),
        ] {
            let request = Request::get("/").header("accept", accept).body(()).unwrap();
            assert_eq!(Form::of(&Recorded::new(&request, Bytes::new())), form, "{accept}");
        }
    }
}
