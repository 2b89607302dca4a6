//! Who a request comes from: the peer, or whom a trusted proxy names.

use std::net::IpAddr;

use http::HeaderMap;

use crate::config::Config;
use crate::gateway::RequestClient;

/// Reads `X-Forwarded-For` from the right, past every trusted proxy, when the peer is one. From
/// anybody else the field means nothing.
pub(super) fn of(direct: &RequestClient, headers: &HeaderMap, config: &Config) -> RequestClient {
    let peer = direct.peer;
    if !config.trusts(peer) {
        return direct.clone();
    }
    let fields: Vec<_> = headers.get_all("x-forwarded-for").iter().collect();
    let hops = fields.iter().rev().flat_map(|field| field.as_bytes().rsplit(|&b| b == b','));
    let mut address = peer;
    for hop in hops {
        // What cannot be read ends the chain: beyond it nobody vouches.
        let hop = std::str::from_utf8(hop).ok().and_then(|hop| hop.trim().parse::<IpAddr>().ok());
        let Some(hop) = hop else { break };
        address = Some(hop.to_canonical());
        if !config.trusts(address) {
            break;
        }
    }
    RequestClient::behind(peer, address)
}
