//! The mutation control: each defence that the attack tests rely on has a name here, so that a
//! test build can take it away and show that its tests then fail.
//!
//! In every other build `stands` is the constant `true`. The feature `sabotage` exists for
//! `cargo test` alone: a build with optimisations refuses it.

#[cfg(all(feature = "sabotage", not(debug_assertions)))]
compile_error!("the feature `sabotage` takes defences away; it exists for debug test builds only");

macro_rules! defences {
    ($($(#[doc = $doc:literal])+ $name:ident => $word:literal,)+) => {
        /// A defence that a test build can switch off.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Defence { $($(#[doc = $doc])+ $name,)+ }

        impl Defence {
            /// Every defence there is.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// Its name, as `GATEKEEP_SABOTAGE` takes it.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)+ }
            }
        }
    };
}

defences! {
    /// Identity headers of the client are removed before ours are set.
    StripHeaders => "strip-headers",
    /// Ambiguous targets are refused.
    CanonicalTarget => "canonical-target",
    /// A browser is sent back to its own site only.
    ReturnTo => "return-to",
    /// `state` must match the attempt in the browser's cookie.
    State => "state",
    /// An attempt can be finished once.
    SingleUse => "single-use",
    /// Each sign-in makes a new session id.
    NewSessionId => "new-session-id",
    /// Two good session cookies in one request are not believed.
    AmbiguousCookie => "ambiguous-cookie",
    /// Whatever ends sessions asks for proof that the form is ours.
    Csrf => "csrf",
    /// The app cannot set the gateway's cookies.
    OwnCookies => "own-cookies",
    /// The gateway's cookies do not reach the app.
    HideCookies => "hide-cookies",
    /// A WebSocket's Origin must be the route's own.
    UpgradeOrigin => "upgrade-origin",
    /// A sealed row opens in its own place alone.
    RowBinding => "row-binding",
    /// What one node ends is over on the others.
    Hearing => "hearing",
    /// Facts beyond their age decide nothing.
    FactsAge => "facts-age",
    /// A webhook must be signed.
    WebhookSignature => "webhook-signature",
    /// What is signed is believed under its own name, and of its own hook.
    WebhookShape => "webhook-shape",
    /// What a webhook tells counts from when GitHub said it, whenever it is sent again.
    WebhookAge => "webhook-age",
    /// A withdrawn authorisation is checked at GitHub.
    WebhookCheck => "webhook-check",
    /// What has changed at GitHub is not answered from what is held.
    Invalidation => "invalidation",
    /// What an asker was shown goes with the last session.
    Forgetting => "forgetting",
    /// A visitor ends own sessions alone.
    OwnSessions => "own-sessions",
    /// An operator's command carries the token.
    AdminToken => "admin-token",
    /// A hand-over between hosts is bound to the browser that asked for it.
    HandoverBinding => "handover-binding",
    /// An API key opens the routes that it names alone.
    ApiKeyScope => "api-key-scope",
    /// What GitHub has shown somebody is shown again to nobody else.
    OwnAnswers => "own-answers",
    /// What is kept of GitHub's answers opens for its own asker at its own URL alone.
    AnswerBinding => "answer-binding",
    /// What somebody else was shown is a guess until GitHub says that it is the very same.
    Confirmation => "confirmation",
    /// What comes from GitHub or goes to it ends with the session that began it.
    FlowEnds => "flow-ends",
    /// What breaks off on the way to GitHub is not taken for whole there.
    WholeUploads => "whole-uploads",
    /// What fails for one account is no outage of GitHub for others.
    OutageOfAll => "outage-of-all",
    /// What an installation may not write nobody else writes in its place.
    OneAuthor => "one-author",
    /// What somebody was shown by scopes that are gone is not shown again without asking.
    Scopes => "scopes",
    /// Apps ask GitHub no faster than it bears.
    Pace => "pace",
    /// An app leads nobody to another origin where a rule says so.
    OwnRedirects => "own-redirects",
    /// Parameters that a route strips do not reach the app with a visitor's identity.
    StripQuery => "strip-query",
    /// What a cookie brings changes nothing but for the app's own pages, where a route asks for it.
    OwnPages => "own-pages",
    /// What a cookie brings is not for pages of other origins.
    OtherOrigins => "other-origins",
    /// What is for an instance goes to the places that are registered for it alone.
    RegisteredTargets => "registered-targets",
    /// A code for an instance works once.
    OneTimeCode => "one-time-code",
    /// A code for the instance behind a route counts in the session alone that it was made in.
    OwnCode => "own-code",
    /// What is for an instance is taken from its own server.
    OwnServers => "own-servers",
    /// The instance's token that the gateway holds takes the place of whatever a request brings.
    OwnSeat => "own-seat",
    /// An installation is sent back for whoever asked for it and may see it alone.
    OwnInstallations => "own-installations",
    /// Instances get tokens of GitHub where the operator says so alone.
    TokensForFew => "tokens-for-few",
    /// Who shows too much that is not good is not heard for a moment, nor a session that asks too much.
    Allowance => "allowance",
    /// Browsers are told how our own answers are to be treated: not framed, not guessed at, not kept.
    OwnFields => "own-fields",
}

/// Whether a defence stands. It always does, but in a test build with the feature `sabotage`.
#[cfg(not(feature = "sabotage"))]
#[inline]
pub(crate) const fn stands(_defence: Defence) -> bool {
    true
}

/// Whether a defence stands: unless `GATEKEEP_SABOTAGE` names it.
#[cfg(feature = "sabotage")]
pub(crate) fn stands(defence: Defence) -> bool {
    static OFF: std::sync::LazyLock<String> =
        std::sync::LazyLock::new(|| std::env::var("GATEKEEP_SABOTAGE").unwrap_or_default());
    OFF.split(',').all(|word| word != defence.word())
}
