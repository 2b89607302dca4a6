//! The words for why: one kebab-case vocabulary for page, JSON, log and metric.

use std::fmt;

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident => $word:literal,)+) => {
        /// Why a request was let in, asked to sign in, refused, or failed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason { $($(#[doc = $doc])+ $name,)+ }

        impl Reason {
            /// Every reason there is, in order.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The word that page, JSON, log and metric print.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)+ }
            }

            /// What the word means, for the documentation.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+),)+ }
            }
        }
    };
}

reasons! {
    /// The path is public on this route.
    Public => "public",
    /// A program without a session showed a token of the app's own, which the app judges.
    AppToken => "app-token",
    /// The route admits anyone who is signed in.
    Anyone => "anyone",
    /// The visitor's login is listed.
    User => "user",
    /// The visitor is a member of a listed organisation.
    Org => "org",
    /// The visitor is in a listed team.
    Team => "team",
    /// The visitor's verified e-mail is listed.
    Email => "email",
    /// One of the gateway's own pages.
    Endpoint => "endpoint",
    /// A browser asks whether a page of another origin may ask, and it may.
    Preflight => "preflight",

    /// No session cookie came with the request.
    NoSession => "no-session",
    /// The session is unknown, ended or expired.
    SessionEnded => "session-ended",
    /// Two different session cookies came, both good: neither is believed.
    AmbiguousCookie => "ambiguous-cookie",
    /// The policy asks for facts (organisations, teams) that this session has not got yet.
    FactsMissing => "facts-missing",
    /// What GitHub said of the visitor is too old, and it cannot be asked again without them.
    FactsOutdated => "facts-outdated",
    /// An API key is unknown, ended or expired, came twice, or came where none is taken.
    BadApiKey => "bad-api-key",
    /// The visitor signs in again and again without arriving.
    SignInLoop => "sign-in-loop",

    /// The visitor is on the route's deny list.
    UserDenied => "user-denied",
    /// Nothing in the route's allow list fits the visitor.
    NotAdmitted => "not-admitted",
    /// A rule of the route lets nobody in there.
    PathClosed => "path-closed",
    /// The API key does not name the route.
    ApiKeyScope => "api-key-scope",
    /// A WebSocket was opened from a page of another origin.
    CrossOriginUpgrade => "cross-origin-upgrade",
    /// A request that changes something came with a cookie, and not from a page of the app.
    CrossOriginWrite => "cross-origin-write",
    /// A link asks the app to send the visitor, or what belongs to them, to another site.
    ForeignRedirect => "foreign-redirect",
    /// The app would have sent the visitor to another site.
    RedirectedAway => "redirected-away",
    /// A form was posted from another site, or without its token.
    CrossSiteForm => "cross-site-form",
    /// A form of ours was not filled in as it must be.
    BadForm => "bad-form",

    /// This path of GitHub's API is not passed on: it is about credentials, or the route denies it.
    ApiPathDenied => "api-path-denied",

    /// A webhook does not carry a signature by one of the configured secrets.
    WebhookNotSigned => "webhook-not-signed",
    /// A signed webhook is not what GitHub sends: its content type is not JSON, or it has no event.
    WebhookUnreadable => "webhook-unreadable",

    /// The request target or its Host is malformed or can be read in two ways.
    AmbiguousTarget => "ambiguous-target",
    /// The request header is malformed, too large or has too many fields.
    BadHeader => "bad-header",
    /// No route is configured for this host, path and method.
    NoRoute => "no-route",
    /// This method is not one that the gateway forwards.
    BadMethod => "bad-method",
    /// The request body is larger than the route allows.
    BodyTooLarge => "body-too-large",
    /// The gateway's own page was asked for in a way it does not answer.
    NoSuchPage => "no-such-page",
    /// The service before offered it, and the broker does not.
    NotOffered => "not-offered",
    /// A browser is to be sent where no instance of the broker's is registered, or comes from GitHub with nothing that was asked for here.
    UnknownTarget => "unknown-target",
    /// A code for an instance is unknown, or older than a minute.
    BadCode => "bad-code",
    /// A code for an instance came before; what it gave is ended.
    SpentCode => "spent-code",
    /// What was made for an instance came from an address that is none of its servers'.
    ForeignServer => "foreign-server",
    /// A code for an instance was not made in this visitor's own session.
    ForeignCode => "foreign-code",
    /// The app behind the route did not sign the visitor in.
    InstanceUnavailable => "instance-unavailable",
    /// The token that an instance shows is unknown, ended or expired, or its instance is not configured any more.
    BadInstanceToken => "bad-instance-token",
    /// The instance may not have tokens of GitHub.
    TokenNotGiven => "token-not-given",
    /// The visitor may not see the installation, or another one asked for it.
    ForeignInstallation => "foreign-installation",
    /// Too much that was refused came from this address, or too much with this session: it is to wait a moment.
    TooManyRequests => "too-many-requests",
    /// An instance asked for more than GitHub's limits leave to the visitor.
    GitHubLimited => "github-limited",

    /// GitHub's answer names no sign-in of this browser: no attempt cookie, or the wrong state.
    UnknownAttempt => "unknown-attempt",
    /// The sign-in took longer than ten minutes, or was finished before.
    AttemptSpent => "attempt-spent",
    /// The visitor declined at GitHub.
    AccessDenied => "access-denied",
    /// GitHub's answer could not be used.
    BadAnswer => "bad-answer",
    /// GitHub did not answer in time or is not reachable.
    GitHubUnavailable => "github-unavailable",
    /// GitHub refused the gateway's own credentials or settings.
    GitHubRefused => "github-refused",

    /// The GitHub App cannot act for the installation that the route names.
    InstallationUnusable => "installation-unusable",
    /// GitHub refuses a token of which it says that it is good.
    GitHubInconsistent => "github-inconsistent",
    /// Too many large answers of GitHub's are on their way at once.
    Crowded => "crowded",

    /// The session store gave no answer; nobody is signed out for that.
    StoreUnavailable => "store-unavailable",
    /// The app behind the gateway cannot be reached or broke off.
    UpstreamUnavailable => "upstream-unavailable",
    /// The app behind the gateway took too long.
    UpstreamTimeout => "upstream-timeout",
    /// The visitor went away before the answer was complete.
    ClientGone => "client-gone",
    /// A fault of the gateway itself.
    Internal => "internal",
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn words_are_kebab_case_and_distinct() {
        let words: HashSet<_> = Reason::ALL.iter().map(|r| r.word()).collect();
        assert_eq!(words.len(), Reason::ALL.len());
        for word in words {
            assert!(word.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{word}");
        }
    }
}
