//! Tests through the front door: the gateway, the simulated GitHub and an app, over real HTTP.

mod support;

/// The mod lines of `src/lib.rs` are the architecture.
mod architecture;
/// Signing in, coming back, signing out.
mod sign_in;
/// GitHub sends the visitor back: what is believed, and what is not.
mod callback;
/// Where a browser may be sent.
mod redirects;
/// From the callback host to another of our hosts.
mod handover;
/// GitHub slow, down, or answering rubbish.
mod github_api;
mod github_trouble;
/// How long sessions live, and what happens when their store does not answer.
mod sessions;
/// The visitor's own sessions, listed and ended.
mod my_sessions;
/// Keys for programs that keep no cookies.
mod api_keys;
/// Instances of Trackeep that send their visitors here.
mod broker;
/// Octokit and PyGithub, unmodified, and what was recorded at GitHub.
mod clients;
/// What GitHub says is asked again, and counts for a while when it says nothing.
mod rechecks;
/// Tokens that end after hours are renewed, once.
mod refresh;
/// The GitHub App as itself: its own token, and those of its installations.
mod github_app;
/// What GitHub tells without being asked, and what others try to make us believe.
mod webhooks;
/// Webhooks of the app that came while nobody was there.
mod missed_webhooks;
/// The keys that sign identity tokens: rotated, shared, kept.
mod signing_keys;
/// Who is let in, and what the others are told.
mod policy;
/// The store in Redis: what it answers, and when it does not.
mod redis;
/// The store in a directory of this machine, as the operator meets it.
mod embedded;
/// What kept answers cost on the disk.
mod kept_size;
/// Killed every second while people sign in and out.
mod crash;
/// No secret in a store, a log or a metric.
mod dumps;
/// Thousands at once.
mod crowd;
/// Several gateways on one store: tokens, sign-outs, outages, wrong clocks, altered rows.
mod nodes;
/// Identity headers cannot be spoofed, and ours cannot be taken away.
mod headers;
/// What browsers are told of our own answers, and of no app's.
mod own_answers;
/// Parts of a route that are treated in a way of their own.
mod classes;
/// An instance of Trackeep behind the gateway, by the preset.
mod trackeep;
/// Visitors of the gateway are users of the instance behind it, too.
mod one_sign_in;
/// What an instance asks GitHub itself comes here.
mod trackeep_github;
/// The real Trackeep, where somebody has built one.
mod real_trackeep;
/// What never reaches an instance behind the gateway, whoever sends it.
mod refused_before;
/// Paths, hosts and methods are judged and forwarded as the same bytes.
mod targets;
/// Cookies: tossed, planted, carried off, guessed, hidden.
mod cookies;
/// What another site can make a browser do: sign out, open a socket.
mod forms;
/// The mutation control (`--features sabotage`).
mod sabotage;
/// Requests and answers stream through to the app and back.
mod proxying;
/// TLS by SNI, HTTP/2, redirects to https.
mod tls;
/// Listeners on Unix sockets.
mod unix_sockets;
/// What the gateway bears: headers, connections, bodies.
mod limits;
/// A new configuration, whole or not at all.
mod reload;
/// Metrics and health.
mod admin;
/// Operators' commands at the running gateway.
mod operate;
/// Stopping without losing a request.
mod stop;
/// The gateway's own pages.
mod pages;
/// The commands.
mod cli;
/// The demo in a real browser.
mod browser;
/// The simulated Trackeep's pages in a real browser.
mod stand_in;
/// Broken configurations and what is said of them.
mod problems;
/// The documentation is true.
mod docs;
/// The examples do what they say.
mod examples;
