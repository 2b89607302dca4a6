//! What visitors are told: for each reason the status, what happened, and what to do next.

use http::StatusCode;

use crate::reason::Reason;

/// Status, title, what happened, what to do next.
pub(super) struct Notice(
    pub(super) StatusCode,
    pub(super) &'static str,
    pub(super) &'static str,
    pub(super) &'static str,
);

/// What a visitor is told of a reason.
#[expect(clippy::too_many_lines, reason = "one table: a row for each reason")]
pub(super) fn notice(reason: Reason) -> Notice {
    use Reason as R;
    use StatusCode as S;
    match reason {
        R::Public
        | R::AppToken
        | R::Anyone
        | R::User
        | R::Org
        | R::Team
        | R::Email
        | R::Endpoint
        | R::Preflight => Notice(S::OK, "Welcome", "All is well.", "There is nothing to do."),
        R::NoSession => Notice(
            S::UNAUTHORIZED,
            "Sign in to go on",
            "This page is for people who are signed in.",
            "Sign in with GitHub to go on.",
        ),
        R::SessionEnded => Notice(
            S::UNAUTHORIZED,
            "Your session has ended",
            "You were signed in, and are not any more.",
            "Sign in with GitHub to go on.",
        ),
        R::AmbiguousCookie => Notice(
            S::UNAUTHORIZED,
            "Sign in again",
            "Your browser sent two different sessions, so neither is believed.",
            "Sign in with GitHub to go on. If this comes back, remove the cookies of this site.",
        ),
        R::FactsMissing => Notice(
            S::UNAUTHORIZED,
            "Sign in again",
            "This page asks for organisations or teams, which your session does not know yet.",
            "Sign in with GitHub once more to go on.",
        ),
        R::BadApiKey => Notice(
            S::UNAUTHORIZED,
            "This API key is not good",
            "It is unknown, has ended or expired, or came where none is taken: an API key stands \
             alone in one `Authorization`, and opens apps, none of the gateway's own pages.",
            "See your keys, and make a new one, on your account page in a browser.",
        ),
        R::FactsOutdated => Notice(
            S::UNAUTHORIZED,
            "Sign in again",
            "It is a while ago that GitHub said who you are, and it cannot be asked again without \
             you.",
            "Sign in with GitHub once more to go on.",
        ),
        R::SignInLoop => Notice(
            S::BAD_REQUEST,
            "Signing in does not last",
            "You have signed in several times within a minute, and your browser came back without \
             its session each time, so this stops here.",
            "Most often the browser refuses this site's cookies, or its clock is far off. Allow \
             cookies for this site, check the date and the time, and try once more.",
        ),
        R::UserDenied => Notice(
            S::FORBIDDEN,
            "This account may not enter",
            "The operator of this site has excluded your account.",
            "Use another account, or ask the operator.",
        ),
        R::NotAdmitted => Notice(
            S::FORBIDDEN,
            "This page is not for you",
            "You are signed in, but this page is for others.",
            "Ask to be added to one of the groups below, or use another account.",
        ),
        R::PathClosed => Notice(
            S::FORBIDDEN,
            "This is closed",
            "The operator of this site lets nobody in here.",
            "Ask the operator if you need it. Operators: a rule of the route says `allow: nobody`.",
        ),
        R::ApiPathDenied => Notice(
            S::FORBIDDEN,
            "Not through this gateway",
            "This path of GitHub's API is not passed on: it is about credentials, or the operator \
             of this site denies it.",
            "Ask the operator if you need it.",
        ),
        R::InstallationUnusable => Notice(
            S::FORBIDDEN,
            "GitHub gives no access",
            "This path asks GitHub in the name of an app, which is not installed there, is \
             suspended, or has too few rights.",
            "Tell the operator of this site; the log has the details.",
        ),
        R::GitHubInconsistent => Notice(
            S::BAD_GATEWAY,
            "GitHub contradicts itself",
            "GitHub refuses a token of which it also says that it is good.",
            "Try again in a minute.",
        ),
        R::Crowded => Notice(
            S::SERVICE_UNAVAILABLE,
            "Too much at once",
            "Too many large answers of GitHub's, or bodies to it, are on their way, yours or \
             everybody's.",
            "Ask again when one has arrived.",
        ),
        R::ApiKeyScope => Notice(
            S::FORBIDDEN,
            "This API key is for other routes",
            "It does not name the route that was asked for.",
            "Make one that does on your account page in a browser.",
        ),
        R::CrossOriginUpgrade => Notice(
            S::FORBIDDEN,
            "Not from here",
            "A page of another site tried to open a connection in your name.",
            "Open the app itself and try there.",
        ),
        R::CrossOriginWrite => Notice(
            S::FORBIDDEN,
            "Not from here",
            "Your browser does not say that a page of this app wanted to change something, so \
             nothing was done in your name.",
            "Open the app itself and do it there. Programs show an API key instead of a cookie.",
        ),
        R::ForeignRedirect => Notice(
            S::BAD_REQUEST,
            "This link leads elsewhere",
            "The link asks the app to send you on to another site, with what the app gives to you \
             alone.",
            "Open the app itself and begin there. Do not follow the link again.",
        ),
        R::RedirectedAway => Notice(
            S::BAD_GATEWAY,
            "The app leads elsewhere",
            "The app would have sent you on to another site, with what it gives to you alone.",
            "Begin again in the app. Operators: its settings name another address than this one.",
        ),
        R::CrossSiteForm => Notice(
            S::FORBIDDEN,
            "This form is not ours",
            "The form came from another site or is too old, so nothing was done.",
            "Open the page itself and press the button there.",
        ),
        R::BadForm => Notice(
            S::BAD_REQUEST,
            "Nothing was done",
            "The form is not filled in as it must be.",
            "Go back and fill it in.",
        ),
        R::AmbiguousTarget => Notice(
            S::BAD_REQUEST,
            "This address can be read in two ways",
            "The address holds something that servers understand differently, so it is refused.",
            "Check it for double slashes, dots between slashes, encoded slashes and the like.",
        ),
        R::BadHeader => Notice(
            S::BAD_REQUEST,
            "This request is malformed",
            "The header of the request breaks a rule of HTTP, or is too large.",
            "If a browser sent it, remove the cookies of this site and try again.",
        ),
        R::WebhookNotSigned => Notice(
            S::FORBIDDEN,
            "This webhook is not signed",
            "It carries no `X-Hub-Signature-256` by a secret that is configured here for such an event.",
            "Operators: the secret in `github.webhook` and the one at GitHub must be the same.",
        ),
        R::WebhookUnreadable => Notice(
            S::BAD_REQUEST,
            "This webhook cannot be read",
            "It is signed, but it is not the JSON of the event that it names.",
            "Operators: choose the content type `application/json` for the webhook at GitHub.",
        ),
        R::NoRoute => Notice(
            S::NOT_FOUND,
            "Nothing is here",
            "No app is configured for this address.",
            "Check the address. Operators: `gatekeep check` shows which routes there are.",
        ),
        R::NotOffered => Notice(
            S::GONE,
            "Not offered",
            "Signing in by e-mail is not offered here: sign in with GitHub.",
            "Go back, and choose GitHub.",
        ),
        R::UnknownTarget => Notice(
            S::BAD_REQUEST,
            "This leads nowhere known",
            "The address to go on to is not registered here, so nobody is sent there.",
            "Begin again in the app. Operators: see the instance's `redirects`.",
        ),
        R::BadCode => Notice(
            S::UNAUTHORIZED,
            "This code is not good",
            "The code is unknown, or older than a minute: sign in again.",
            "Begin again in the app.",
        ),
        R::SpentCode => Notice(
            S::UNAUTHORIZED,
            "This code was used before",
            "The code was used before, so what it gave is ended as well: sign in again.",
            "Begin again in the app.",
        ),
        R::ForeignServer => Notice(
            S::FORBIDDEN,
            "This is for another server",
            "This was made for an instance whose server asks from elsewhere; its operator finds the address in the log of the service.",
            "Ask the operator of the service.",
        ),
        R::ForeignCode => Notice(
            S::FORBIDDEN,
            "This link is not for you",
            "Somebody else began this sign-in; finishing it would make you act as them.",
            "Open the app itself: you are signed in there already.",
        ),
        R::InstanceUnavailable => Notice(
            S::BAD_GATEWAY,
            "The app did not sign you in",
            "You are signed in here, but the app behind it gave no session of its own.",
            "Try again in a moment. Operators: the log says what the app answered; docs/trackeep.md \
             says what it needs.",
        ),
        R::BadInstanceToken => Notice(
            S::UNAUTHORIZED,
            "This token is not good",
            "The token is unknown, has ended or expired: sign in with GitHub again.",
            "Sign in with GitHub again in the app.",
        ),
        R::TokenNotGiven => Notice(
            S::FORBIDDEN,
            "This token stays here",
            "This instance gets no such token of GitHub: the operator of the service allows it with `github_token: true`.",
            "Ask the operator of the service.",
        ),
        R::ForeignInstallation => Notice(
            S::FORBIDDEN,
            "This installation is not yours",
            "GitHub does not show this to you, or it was begun by another account.",
            "Use the account that installed the app.",
        ),
        R::TooManyRequests => Notice(
            S::TOO_MANY_REQUESTS,
            "Too much at once",
            "Too many requests: wait a moment, and try again.",
            "Wait a few seconds, and try again.",
        ),
        R::GitHubLimited => Notice(
            S::TOO_MANY_REQUESTS,
            "GitHub's limit is used up",
            "GitHub's limit for this account is used up for now: try again later.",
            "Try again later.",
        ),
        R::NoSuchPage => Notice(
            S::NOT_FOUND,
            "There is no such page",
            "The gateway has no page at this address.",
            "Go to your account, or back to the app.",
        ),
        R::BadMethod => Notice(
            S::METHOD_NOT_ALLOWED,
            "This method is not taken here",
            "The route takes other methods than this one.",
            "Operators: see the route's `methods`.",
        ),
        R::BodyTooLarge => Notice(
            S::PAYLOAD_TOO_LARGE,
            "This is too large",
            "The body of the request is larger than this route allows.",
            "Send less at once. Operators: see the route's `body_limit`.",
        ),
        R::UnknownAttempt => Notice(
            S::BAD_REQUEST,
            "This sign-in was not begun here",
            "GitHub's answer fits no sign-in of this browser: perhaps it began in another browser, \
             the cookie was refused, or it took longer than ten minutes.",
            "Begin again. If this comes back, allow cookies for this site.",
        ),
        R::AttemptSpent => Notice(
            S::BAD_REQUEST,
            "This sign-in is over",
            "It was finished before, or took longer than ten minutes.",
            "Begin again.",
        ),
        R::AccessDenied => Notice(
            S::FORBIDDEN,
            "You declined at GitHub",
            "Without your consent GitHub does not say who you are, so you are not signed in.",
            "Begin again whenever you like.",
        ),
        R::BadAnswer => Notice(
            S::BAD_GATEWAY,
            "GitHub's answer cannot be used",
            "GitHub answered in a way that makes no sense here, so you are not signed in.",
            "Try again in a moment.",
        ),
        R::GitHubUnavailable => Notice(
            S::SERVICE_UNAVAILABLE,
            "GitHub does not answer",
            "GitHub is slow or out of reach, so you cannot sign in just now.",
            "Try again in a moment; https://www.githubstatus.com tells how GitHub is.",
        ),
        R::GitHubRefused => Notice(
            S::BAD_GATEWAY,
            "GitHub refuses this gateway",
            "GitHub does not accept this gateway's own settings, so nobody can sign in.",
            "Tell the operator; the log says what to check.",
        ),
        R::StoreUnavailable => Notice(
            S::SERVICE_UNAVAILABLE,
            "Sessions are out of reach",
            "The gateway cannot look up your session just now. You are still signed in.",
            "Try again in a moment.",
        ),
        R::UpstreamUnavailable => Notice(
            S::BAD_GATEWAY,
            "The app does not answer",
            "The gateway is well, but the app behind it is out of reach or broke off.",
            "Try again in a moment.",
        ),
        R::UpstreamTimeout => Notice(
            S::GATEWAY_TIMEOUT,
            "The app takes too long",
            "The app behind the gateway did not answer in time.",
            "Try again in a moment.",
        ),
        R::ClientGone => Notice(
            S::BAD_REQUEST,
            "The request broke off",
            "The connection ended before the request was complete.",
            "Try again.",
        ),
        R::Internal => Notice(
            S::INTERNAL_SERVER_ERROR,
            "Something went wrong",
            "That is the gateway's fault, not yours.",
            "Try again. If it stays, tell the operator the request id below.",
        ),
    }
}
