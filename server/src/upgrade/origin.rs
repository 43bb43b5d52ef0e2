use std::str::FromStr;

use http::header::{HOST, ORIGIN};
use http::request::Parts;

/// A web origin: scheme, host and port, compared exactly.
///
/// Written as browsers send it in the `Origin` header: `https://example.com`, `http://localhost:3000`,
/// `tauri://localhost`. The default ports of `http` (80) and `https` (443) may be left out. Upper and lower case
/// of scheme and host are the same. Source: RFC 6454 section 4.
///
/// # Examples
///
/// ```
/// use bowline_server::Origin;
///
/// let origin: Origin = "https://example.com".parse()?;
/// assert_eq!(origin, "HTTPS://example.com:443".parse()?);
/// assert_ne!(origin, "http://example.com".parse()?);
/// assert!("https://example.com/path".parse::<Origin>().is_err());
/// assert!("null".parse::<Origin>().is_err());
/// # Ok::<(), bowline_server::InvalidOrigin>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    scheme: String,
    authority: Authority,
}

/// Text that is not a web origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not an origin: expected a scheme, a host and perhaps a port, such as `https://example.com`"
)]
pub struct InvalidOrigin {
    text: String,
}

impl FromStr for Origin {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (scheme, rest) = text.split_once("://")?;
            let named = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
                && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
            let scheme = named.then(|| scheme.to_ascii_lowercase())?;
            let authority = Authority::parse(rest, default_port(&scheme))?;
            Some(Self { scheme, authority })
        };
        parse().ok_or_else(|| InvalidOrigin { text: text.to_owned() })
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Authority {
    host: String,
    port: Option<u16>,
}

impl Authority {
    /// Reads `host`, `host:port` or `[v6]:port` and nothing else.
    fn parse(text: &str, default_port: Option<u16>) -> Option<Self> {
        let host_len = match text.strip_prefix('[') {
            Some(rest) => rest.find(']')? + 2,
            None => text.find(':').unwrap_or(text.len()),
        };
        let (host, port) = text.split_at(host_len);
        let valid = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(v6) => v6.parse::<std::net::Ipv6Addr>().is_ok(),
            None => {
                !host.is_empty()
                    && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
            }
        };
        let port = match port.strip_prefix(':') {
            // `parse` alone would take a plus sign.
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => Some(digits.parse().ok()?),
            Some(_) => return None,
            None => default_port,
        };
        valid.then(|| Self { host: host.to_ascii_lowercase(), port })
    }
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

/// Which pages may open a connection.
#[derive(Debug, Clone, Default)]
pub(crate) enum Origins {
    /// Pages of the host that the request is addressed to.
    #[default]
    SameHost,
    /// Pages of these origins.
    Listed(Vec<Origin>),
    /// Any page.
    Any,
}

impl Origins {
    /// Whether the request may go on. A request without an `Origin` comes from no browser and may.
    pub(crate) fn admit(&self, parts: &Parts) -> bool {
        if matches!(self, Self::Any) {
            return true;
        }
        let mut stated = parts.headers.get_all(ORIGIN).iter();
        let origin = match (stated.next(), stated.next()) {
            (None, _) => return true,
            (Some(origin), None) => origin.to_str().ok().and_then(|text| text.parse::<Origin>().ok()),
            // Which of two would be believed is a guess.
            (Some(_), Some(_)) => None,
        };
        // `null` is no origin either: sandboxed frames and local files share it.
        let Some(origin) = origin else { return false };
        match self {
            Self::SameHost => addressed(parts, &origin.scheme).is_some_and(|host| host == origin.authority),
            Self::Listed(origins) => origins.contains(&origin),
            Self::Any => true,
        }
    }
}

/// The host and port that the request is addressed to, by a page of this scheme.
///
/// The scheme of the request itself is known only when the request line names it: behind a proxy that ends TLS,
/// an `https` page arrives here in clear.
fn addressed(parts: &Parts, scheme: &str) -> Option<Authority> {
    if let Some(stated) = parts.uri.scheme_str() {
        let stated = match stated {
            "ws" => "http",
            "wss" => "https",
            other => other,
        };
        if stated != scheme {
            return None;
        }
    }
    // Without a default port `scheme` is neither `http` nor `https`, and no page of ours.
    let port = Some(default_port(scheme)?);
    match parts.uri.authority() {
        Some(authority) => Authority::parse(authority.as_str(), port),
        None => {
            let mut hosts = parts.headers.get_all(HOST).iter();
            match (hosts.next(), hosts.next()) {
                (Some(host), None) => Authority::parse(host.to_str().ok()?, port),
                _ => None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(uri: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = http::Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn same_host(host: &str, origin: &str) -> bool {
        Origins::SameHost.admit(&request("/ws", &[("host", host), ("origin", origin)]))
    }

    #[test]
    fn the_page_of_the_same_host_and_port_may_connect() {
        assert!(same_host("example.com", "https://example.com"));
        assert!(same_host("example.com", "http://example.com"));
        assert!(same_host("Example.com:443", "https://example.COM"));
        assert!(same_host("localhost:3000", "http://localhost:3000"));
        assert!(same_host("[::1]:3000", "http://[::1]:3000"));
    }

    #[test]
    fn everything_else_may_not() {
        for origin in [
            "https://evil.com",
            "https://example.com.evil.com",
            "https://notexample.com",
            "https://sub.example.com",
            "https://example.com:8443",
            "http://example.com",
            "https://example.com/",
            "https://example.com@evil.com",
            "https://user@example.com",
            "https://example.com:",
            "https://example.com:+443",
            "https://example.com:65979",
            "ftp://example.com",
            "//example.com",
            "example.com",
            "null",
            "",
            "https://[::1",
            "https://[example.com]",
            "https://example.com https://example.com",
        ] {
            assert!(!same_host("example.com:443", origin), "{origin:?} was let in");
        }
    }

    #[test]
    fn two_origins_or_two_hosts_are_believed_by_nobody() {
        let origin = ("origin", "https://example.com");
        let host = ("host", "example.com");
        assert!(!Origins::SameHost.admit(&request("/ws", &[host, origin, origin])));
        assert!(!Origins::SameHost.admit(&request("/ws", &[host, host, origin])));
        assert!(!Origins::SameHost.admit(&request("/ws", &[origin])));
    }

    #[test]
    fn a_request_line_that_names_the_scheme_is_compared_by_it() {
        let origin = ("origin", "https://example.com");
        assert!(Origins::SameHost.admit(&request("https://example.com/ws", &[origin])));
        assert!(Origins::SameHost.admit(&request("wss://example.com/ws", &[origin])));
        assert!(!Origins::SameHost.admit(&request("http://example.com:443/ws", &[origin])));
    }

    #[test]
    fn a_list_is_exact_and_replaces_the_default() {
        let origins = Origins::Listed(vec!["https://app.example.com".parse().unwrap()]);
        let admit = |origin| origins.admit(&request("/ws", &[("host", "example.com"), ("origin", origin)]));
        assert!(admit("https://app.example.com"));
        assert!(!admit("http://app.example.com"));
        assert!(!admit("https://example.com"));
        assert!(!admit("null"));
    }

    #[test]
    fn programs_send_no_origin_and_may_connect() {
        assert!(Origins::SameHost.admit(&request("/ws", &[("host", "example.com")])));
        assert!(Origins::Listed(Vec::new()).admit(&request("/ws", &[])));
    }

    #[test]
    fn any_lets_everybody_in() {
        assert!(Origins::Any.admit(&request("/ws", &[("origin", "null")])));
    }
}
