//! Connections to Redis: some that are shared by all, and some that wait for news.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use redis::aio::MultiplexedConnection;
use redis::cluster::{ClusterClient, ClusterConfig};
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{MultipleNodeRoutingInfo, RoutingInfo, SingleNodeRoutingInfo};
use redis::{AsyncConnectionConfig, Client, Cmd, PushInfo, PushKind, RedisResult, Value};

use super::LISTENED;
use super::settings::Target;

/// The connections that were made together and are given up together.
pub(super) struct Pool {
    pub(super) number: u64,
    shared: Vec<Connection>,
    turn: AtomicUsize,
    source: Source,
    /// Whoever waits for news holds its connection up, so it has one to itself; these are at rest.
    ears: Mutex<Vec<Connection>>,
}

/// A connection; its clones share it.
#[derive(Clone)]
pub(super) enum Connection {
    Server(MultiplexedConnection),
    Cluster(ClusterConnection),
}

/// Where more connections come from.
enum Source {
    Server(Box<Client>),
    Cluster(Box<ClusterClient>),
}

/// A node of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Node {
    host: String,
    port: u16,
}

/// Connections for news that are kept for the next listener.
const EARS: usize = 4;

// === impl Pool ===

impl Pool {
    /// Connects. `broken` is called when a connection has ended by itself.
    pub(super) async fn connect(
        target: &Target,
        number: u64,
        broken: impl Fn() + Send + Sync + 'static,
    ) -> RedisResult<Self> {
        let source = match target {
            Target::Single(client) => Source::Server(Box::new(client.clone())),
            Target::Sentinel(client) => {
                Source::Server(Box::new(client.lock().await.async_get_client().await?))
            }
            Target::Cluster(client) => Source::Cluster(client.clone()),
        };
        let shared = source.shared(broken).await?;
        Ok(Self { number, shared, turn: AtomicUsize::new(0), source, ears: Mutex::default() })
    }

    /// One of the shared connections, in turn.
    pub(super) fn next(&self) -> Connection {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        self.shared[turn % self.shared.len()].clone()
    }

    /// A connection that may be held up.
    pub(super) async fn ear(&self) -> RedisResult<Connection> {
        let kept = self.ears.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match kept {
            Some(ear) => Ok(ear),
            None => self.source.ear().await,
        }
    }

    /// Takes a connection back that is not held up any more.
    pub(super) fn keep(&self, ear: Connection) {
        let mut ears = self.ears.lock().unwrap_or_else(PoisonError::into_inner);
        if ears.len() < EARS {
            ears.push(ear);
        }
    }
}

// === impl Connection ===

impl Connection {
    /// Asks, and turns what the server calls an error into one.
    pub(super) async fn ask(&mut self, command: &Cmd) -> RedisResult<Value> {
        match self {
            Self::Server(connection) => command.query_async(connection).await,
            Self::Cluster(connection) => command.query_async(connection).await,
        }
    }

    /// Asks one node of a cluster.
    pub(super) async fn ask_node(&mut self, node: &Node, command: &Cmd) -> RedisResult<Value> {
        let Self::Cluster(connection) = self else { return self.ask(command).await };
        let (host, port) = (node.host.clone(), node.port);
        let node = SingleNodeRoutingInfo::ByAddress { host, port };
        let answer = connection.route_command(command.clone(), RoutingInfo::SingleNode(node)).await;
        answer.and_then(Value::extract_error)
    }

    /// The masters of a cluster, in order; a single server has no name.
    pub(super) async fn masters(&mut self) -> RedisResult<Vec<Node>> {
        let Self::Cluster(connection) = self else { return Ok(vec![Node::default()]) };
        let everyone = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None));
        let answers = connection.route_command(redis::cmd("PING"), everyone).await?;
        let Value::Map(answers) = answers.extract_error()? else { return Ok(Vec::new()) };
        let names = answers.into_iter().filter_map(|(name, _)| match name {
            Value::BulkString(name) => Node::parse(&name),
            _ => None,
        });
        let mut nodes: Vec<_> = names.collect();
        nodes.sort();
        Ok(nodes)
    }
}

// === impl Node ===

impl Node {
    /// As `Display` writes it.
    pub(super) fn parse(name: &[u8]) -> Option<Self> {
        let (host, port) = std::str::from_utf8(name).ok()?.rsplit_once(':')?;
        Some(Self { host: host.to_owned(), port: port.parse().ok()? })
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

// === impl Source ===

impl Source {
    /// Answers on one connection wait for each other's bytes: of four, a large one holds up a
    /// quarter. They are made side by side, because each takes several ways there and back. A
    /// cluster's connection is one to each of its nodes already.
    async fn shared(
        &self,
        broken: impl Fn() + Send + Sync + 'static,
    ) -> RedisResult<Vec<Connection>> {
        let Self::Server(client) = self else { return Ok(vec![self.ear().await?]) };
        let config = unlimited().set_push_sender(move |push: PushInfo| {
            if push.kind == PushKind::Disconnection {
                broken();
            }
            Ok::<_, ()>(())
        });
        let made = || client.get_multiplexed_async_connection_with_config(&config);
        let (a, b, c, d) = tokio::try_join!(made(), made(), made(), made())?;
        Ok([a, b, c, d].map(Connection::Server).into())
    }

    async fn ear(&self) -> RedisResult<Connection> {
        match self {
            Self::Server(client) => {
                let config = unlimited();
                let made = client.get_multiplexed_async_connection_with_config(&config);
                made.await.map(Connection::Server)
            }
            Self::Cluster(client) => {
                let config = ClusterConfig::new().set_response_timeout(LISTENED * 2);
                let made = client.get_async_connection_with_config(config);
                made.await.map(Connection::Cluster)
            }
        }
    }
}

/// Whoever asks sets the limit.
fn unlimited() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new().set_response_timeout(None).set_connection_timeout(None)
}
