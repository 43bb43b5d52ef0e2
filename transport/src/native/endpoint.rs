use http::Uri;

use crate::ConnectError;

/// A `ws://` or `wss://` URL, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Endpoint {
    pub(super) encrypted: bool,
    /// Without the brackets of an IPv6 address.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) uri: Uri,
}

impl Endpoint {
    pub(super) fn parse(endpoint: &str) -> Result<Self, ConnectError> {
        let refuse = |problem| ConnectError::Endpoint { endpoint: without_query(endpoint), problem };
        // A fragment never leaves a client (RFC 6455 section 3), and `Uri` drops it silently.
        if endpoint.contains('#') {
            return Err(refuse("a WebSocket URL has no fragment (`#..`)"));
        }
        if endpoint.starts_with('/') {
            return Err(refuse("outside of a browser there is no page that a path could belong to"));
        }
        let uri: Uri = endpoint.parse().map_err(|_| refuse("it is not a URL"))?;
        let encrypted = match uri.scheme_str() {
            Some("ws") => false,
            Some("wss") => true,
            Some("http" | "https") => return Err(refuse("write `ws://` or `wss://` instead of `http`")),
            _ => return Err(refuse("it has to start with `ws://` or `wss://`")),
        };
        let authority = uri.authority().ok_or_else(|| refuse("it names no host"))?;
        if authority.as_str().contains('@') {
            return Err(refuse("a user name in a URL is not supported: send credentials another way"));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() {
            return Err(refuse("it names no host"));
        }
        let port = match authority.as_str().strip_prefix(authority.host()).unwrap_or_default() {
            "" | ":" if encrypted => 443,
            "" | ":" => 80,
            // `port_u16` is `None` both without a port and with one that is too large.
            _ => {
                authority.port_u16().ok_or_else(|| refuse("its port has to be a number of at most 65535"))?
            }
        };
        Ok(Self { encrypted, host, port, uri })
    }
}

/// What may be shown: queries carry secrets.
fn without_query(endpoint: &str) -> String {
    let end = endpoint.find('?').unwrap_or(endpoint.len());
    let shown = &endpoint[..end];
    match (shown.find("://"), shown.find('@')) {
        (Some(scheme), Some(at)) if at > scheme => format!("{}://..{}", &shown[..scheme], &shown[at..]),
        _ => shown.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_taken_apart() {
        let endpoint = Endpoint::parse("ws://example.org/chat?room=1").unwrap();
        assert_eq!((endpoint.encrypted, endpoint.host.as_str(), endpoint.port), (false, "example.org", 80));
        assert_eq!(endpoint.uri.path_and_query().unwrap(), "/chat?room=1");
        let endpoint = Endpoint::parse("wss://[::1]:4000").unwrap();
        assert_eq!((endpoint.encrypted, endpoint.host.as_str(), endpoint.port), (true, "::1", 4000));
        for (endpoint, port) in
            [("wss://example.org", 443), ("ws://[::1]/", 80), ("ws://a:/", 80), ("ws://a:65535", 65535)]
        {
            assert_eq!(Endpoint::parse(endpoint).unwrap().port, port, "{endpoint}");
        }
    }

    #[test]
    fn a_wrong_endpoint_says_what_is_wrong_and_keeps_secrets() {
        for (endpoint, shown) in [
            (
                "/ws",
                "`/ws` is no endpoint: outside of a browser there is no page that a path could belong to",
            ),
            ("http://a/ws", "`http://a/ws` is no endpoint: write `ws://` or `wss://` instead of `http`"),
            ("a:80", "`a:80` is no endpoint: it has to start with `ws://` or `wss://`"),
            ("ws://a/?token=secret#x", "`ws://a/` is no endpoint: a WebSocket URL has no fragment (`#..`)"),
            (
                "ws://me:secret@a/",
                "`ws://..@a/` is no endpoint: a user name in a URL is not supported: send credentials another way",
            ),
            ("ws://a b", "`ws://a b` is no endpoint: it is not a URL"),
            // The port was taken to be 80.
            ("ws://a:65536/", "`ws://a:65536/` is no endpoint: its port has to be a number of at most 65535"),
            (
                "wss://[::1]:b/",
                "`wss://[::1]:b/` is no endpoint: its port has to be a number of at most 65535",
            ),
        ] {
            let error = Endpoint::parse(endpoint).unwrap_err();
            assert_eq!(error.to_string(), shown);
            assert!(error.is_permanent());
        }
    }
}
