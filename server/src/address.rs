//! Which network address a client has, for accounts of those who are anonymous.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};

use axum::extract::ConnectInfo;
use http::HeaderName;
use http::request::Parts;

/// What tells the address; see [`ServerBuilder::client_address`](crate::ServerBuilder::client_address).
pub(crate) type Locate = Box<dyn Fn(&Parts) -> Option<IpAddr> + Send + Sync>;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The address of the connection that a request came on, where the HTTP server says it.
pub(crate) fn of_connection(parts: &Parts) -> Option<IpAddr> {
    parts.extensions.get().map(|ConnectInfo::<SocketAddr>(address)| address.ip().to_canonical())
}

/// Takes the word of these proxies, and of nobody else, for whom they forward: the header `X-Forwarded-For`.
///
/// For [`ServerBuilder::client_address`](crate::ServerBuilder::client_address). Each proxy adds the address that it was
/// called from at the end of the header, so the header is read from its end, for as long as who wrote it is a proxy that
/// is named here; what stands before was written by strangers, and is not believed. A request that does not come from such
/// a proxy has the address of its connection, whatever its headers say. The same holds where a proxy that is named says
/// nothing, or nothing that is an address. Ports behind addresses are left out.
///
/// Name every address under which a proxy of yours may call, also that of a proxy before another one. All of them must
/// write the header anew or add to it: one that passes it on as it came lets every client choose its address.
///
/// # Examples
///
/// ```
/// use bowline_server::{Server, forwarded_for};
/// use std::net::IpAddr;
///
/// let balancer = IpAddr::from([10, 0, 0, 7]);
/// let server = Server::builder().client_address(forwarded_for([balancer])).build();
/// # let _ = server;
/// ```
pub fn forwarded_for(
    proxies: impl IntoIterator<Item = IpAddr>,
) -> impl Fn(&Parts) -> Option<IpAddr> + Send + Sync + 'static {
    let proxies: HashSet<IpAddr> = proxies.into_iter().map(|proxy| proxy.to_canonical()).collect();
    move |parts| {
        let mut client = of_connection(parts)?;
        let written: Vec<_> = parts.headers.get_all(&FORWARDED_FOR).iter().collect();
        let hops = written.iter().rev().flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
        for hop in hops {
            if !proxies.contains(&client) {
                break;
            }
            let Some(address) = parse(hop) else { break };
            client = address;
        }
        Some(client)
    }
}

/// An address, with or without a port.
fn parse(hop: &[u8]) -> Option<IpAddr> {
    let hop = std::str::from_utf8(hop).ok()?.trim();
    let with_port = || hop.parse().map(|address: SocketAddr| address.ip());
    let address: IpAddr = hop.parse().or_else(|_| with_port()).ok()?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(address: &str) -> IpAddr {
        address.parse().unwrap()
    }

    /// The address of a request from `peer` with these lines of the header, behind the proxies 10.0.0.7 and 10.0.0.8.
    fn located(peer: Option<&str>, lines: &[&str]) -> Option<IpAddr> {
        let mut request = http::Request::builder();
        for line in lines {
            request = request.header("x-forwarded-for", *line);
        }
        let mut parts = request.body(()).unwrap().into_parts().0;
        if let Some(peer) = peer {
            parts.extensions.insert(ConnectInfo(SocketAddr::new(ip(peer), 9)));
        }
        forwarded_for([ip("10.0.0.7"), ip("10.0.0.8")])(&parts)
    }

    #[test]
    fn a_proxy_that_is_named_is_believed() {
        for (lines, client) in [
            (&["192.0.2.1"][..], "192.0.2.1"),
            (&["192.0.2.1:4711"], "192.0.2.1"),
            (&["2001:db8::1"], "2001:db8::1"),
            (&["[2001:db8::1]:4711"], "2001:db8::1"),
            (&["::ffff:192.0.2.1"], "192.0.2.1"),
            // The client lied; the proxy added the truth.
            (&["203.0.113.9, 192.0.2.1"], "192.0.2.1"),
            (&["203.0.113.9", " 192.0.2.1 "], "192.0.2.1"),
            // One proxy before another.
            (&["203.0.113.9, 192.0.2.1, 10.0.0.8"], "192.0.2.1"),
            (&["203.0.113.9, 192.0.2.1", "10.0.0.8"], "192.0.2.1"),
        ] {
            assert_eq!(located(Some("10.0.0.7"), lines), Some(ip(client)), "{lines:?}");
        }
        assert_eq!(located(Some("::ffff:10.0.0.7"), &["192.0.2.1"]), Some(ip("192.0.2.1")));
    }

    #[test]
    fn nobody_else_is() {
        for lines in [&["192.0.2.1"][..], &["10.0.0.7"], &["192.0.2.1, 10.0.0.7"], &[]] {
            assert_eq!(located(Some("203.0.113.9"), lines), Some(ip("203.0.113.9")), "{lines:?}");
        }
        assert_eq!(located(None, &["192.0.2.1"]), None, "nobody says who was connected");
    }

    #[test]
    fn where_a_proxy_says_no_address_it_is_its_own() {
        for lines in [&[][..], &[""], &["unknown"], &["192.0.2.1, "], &["192.0.2.1, nonsense"], &["1.2.3"]] {
            assert_eq!(located(Some("10.0.0.7"), lines), Some(ip("10.0.0.7")), "{lines:?}");
        }
        assert_eq!(located(Some("10.0.0.7"), &["nonsense, 10.0.0.8"]), Some(ip("10.0.0.8")));
    }
}
