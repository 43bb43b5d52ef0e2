use axum::body::Body;
use bowline_protocol::envelope::SUBPROTOCOL;
use http::header::{
    ALLOW, CONNECTION, CONTENT_TYPE, HeaderName, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Version};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::origin::Origins;

/// A request that may become a link.
#[derive(Debug)]
pub(crate) struct Accepted {
    /// What `Sec-WebSocket-Accept` says.
    accept: HeaderValue,
}

/// A request that may not, and what it is told.
#[derive(Debug)]
pub(crate) struct Rejected {
    pub(crate) status: StatusCode,
    header: Option<(HeaderName, HeaderValue)>,
    pub(crate) sentence: &'static str,
}

/// Judges a request by its headers, in the order of RFC 6455 section 4.2.1, then by origin and subprotocol.
pub(crate) fn check(parts: &Parts, origins: &Origins) -> Result<Accepted, Rejected> {
    if parts.method != Method::GET {
        return Err(Rejected {
            status: StatusCode::METHOD_NOT_ALLOWED,
            header: Some((ALLOW, HeaderValue::from_static("GET"))),
            sentence: "This address speaks WebSocket, which starts with a GET request.",
        });
    }
    let headers = &parts.headers;
    let asks = has_token(headers, &UPGRADE, "websocket") && has_token(headers, &CONNECTION, "upgrade");
    if parts.version != Version::HTTP_11 || !asks {
        return Err(Rejected {
            status: StatusCode::UPGRADE_REQUIRED,
            header: Some((UPGRADE, HeaderValue::from_static("websocket"))),
            sentence: "This address speaks WebSocket with the subprotocol `bowline.v1`: connect with a Bowline \
                       client over HTTP/1.1. If a proxy stands in between, it must pass the headers `Upgrade` and \
                       `Connection` on.",
        });
    }
    if single(headers, &SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err(Rejected {
            status: StatusCode::UPGRADE_REQUIRED,
            header: Some((SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"))),
            sentence: "This server speaks version 13 of the WebSocket protocol (RFC 6455) and no other.",
        });
    }
    let Some(key) = single(headers, &SEC_WEBSOCKET_KEY).filter(|key| is_key(key.as_bytes())) else {
        return Err(Rejected {
            status: StatusCode::BAD_REQUEST,
            header: None,
            sentence: "The request needs one `Sec-WebSocket-Key` header with 16 bytes in base64.",
        });
    };
    if !origins.admit(parts) {
        return Err(Rejected {
            status: StatusCode::FORBIDDEN,
            header: None,
            sentence: "Pages of this origin may not connect. The server's program names the origins that may, with \
                       `allow_origin`; without it, only pages of the server's own host.",
        });
    }
    match offered(headers) {
        Offer::Ours => {}
        offer => {
            return Err(Rejected {
                status: StatusCode::BAD_REQUEST,
                header: Some((SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL))),
                sentence: match offer {
                    Offer::Nothing => {
                        "This server speaks the WebSocket subprotocol `bowline.v1`, and the request offers none. \
                         The JSON-RPC form, which needs no subprotocol, comes in a later version."
                    }
                    _ => {
                        "This server speaks the WebSocket subprotocol `bowline.v1`, which the request does not \
                         offer. The JSON-RPC form (`jsonrpc`) comes in a later version."
                    }
                },
            });
        }
    }
    let accept = HeaderValue::try_from(derive_accept_key(key.as_bytes())).expect("base64 is a header value");
    Ok(Accepted { accept })
}

impl Accepted {
    /// The answer that turns the connection into a WebSocket.
    pub(crate) fn response(self) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(SEC_WEBSOCKET_ACCEPT, self.accept);
        headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
        response
    }
}

impl Rejected {
    /// A rejection for a reason that lies with the server and passes.
    pub(crate) fn unavailable(sentence: &'static str) -> Self {
        let header = (http::header::RETRY_AFTER, HeaderValue::from_static("5"));
        Self { status: StatusCode::SERVICE_UNAVAILABLE, header: Some(header), sentence }
    }

    /// The connection under this request can't be taken over.
    pub(crate) fn not_upgradable() -> Self {
        Self {
            status: StatusCode::UPGRADE_REQUIRED,
            header: Some((UPGRADE, HeaderValue::from_static("websocket"))),
            sentence: "This connection cannot be upgraded: the server that reads HTTP here does not allow it.",
        }
    }

    pub(crate) fn response(self) -> Response<Body> {
        let mut response = Response::new(Body::from(self.sentence));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        if let Some((name, value)) = self.header {
            headers.insert(name, value);
        }
        response
    }
}

enum Offer {
    Ours,
    Others,
    Nothing,
}

fn offered(headers: &HeaderMap) -> Offer {
    let mut offer = Offer::Nothing;
    for token in tokens(headers, &SEC_WEBSOCKET_PROTOCOL) {
        if token == SUBPROTOCOL {
            return Offer::Ours;
        }
        offer = Offer::Others;
    }
    offer
}

fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    tokens(headers, name).any(|stated| stated.eq_ignore_ascii_case(token))
}

fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).filter(|token| !token.is_empty())
}

fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).into_iter();
    values.next().filter(|_| values.next().is_none())
}

/// Whether these are 16 bytes in base64: 22 digits and two signs of padding.
fn is_key(key: &[u8]) -> bool {
    let (Some(digits), true) = (key.strip_suffix(b"=="), key.len() == 24) else { return false };
    digits.iter().all(|digit| digit.is_ascii_alphanumeric() || b"+/".contains(digit))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn valid() -> Parts {
        let request = http::Request::builder()
            .uri("/ws")
            .header("host", "example.com")
            .header("connection", "keep-alive, Upgrade")
            .header("upgrade", "WebSocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
            .header("sec-websocket-protocol", "jsonrpc, bowline.v1");
        request.body(()).unwrap().into_parts().0
    }

    fn rejection(change: impl FnOnce(&mut Parts)) -> Rejected {
        let mut parts = valid();
        change(&mut parts);
        check(&parts, &Origins::SameHost).unwrap_err()
    }

    #[test]
    fn a_valid_request_is_answered_with_the_key_of_rfc_6455() {
        let response = check(&valid(), &Origins::SameHost).unwrap().response();
        assert_eq!(response.status(), 101);
        // The example of RFC 6455 section 1.3.
        assert_eq!(response.headers()["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(response.headers()["sec-websocket-protocol"], "bowline.v1");
    }

    #[test]
    fn a_plain_request_is_told_what_this_address_is() {
        for header in ["upgrade", "connection"] {
            let rejected = rejection(|parts| drop(parts.headers.remove(header)));
            assert_eq!(rejected.status, 426);
            assert!(rejected.sentence.contains("Bowline"));
        }
        assert_eq!(rejection(|parts| parts.version = Version::HTTP_10).status, 426);
        assert_eq!(rejection(|parts| parts.method = Method::POST).status, 405);
    }

    #[test]
    fn only_version_13_is_spoken() {
        let other = |parts: &mut Parts| {
            parts.headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("8"));
        };
        let response = rejection(other).response();
        assert_eq!(response.status(), 426);
        assert_eq!(response.headers()["sec-websocket-version"], "13");
        assert_eq!(rejection(|parts| drop(parts.headers.remove(SEC_WEBSOCKET_VERSION))).status, 426);
    }

    #[test]
    fn the_key_is_sixteen_bytes_stated_once() {
        for key in
            ["", "abc", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25j!Q==", "dGhlIHNhbXBsZSBub25jZWFh"]
        {
            let rejected = rejection(|parts| {
                parts.headers.insert(SEC_WEBSOCKET_KEY, HeaderValue::from_static(key));
            });
            assert_eq!(rejected.status, 400, "{key:?}");
        }
        let twice = rejection(|parts| {
            parts.headers.append(SEC_WEBSOCKET_KEY, HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ=="));
        });
        assert_eq!(twice.status, 400);
    }

    #[test]
    fn without_our_subprotocol_the_sentence_says_when_json_rpc_comes() {
        let none = rejection(|parts| drop(parts.headers.remove(SEC_WEBSOCKET_PROTOCOL)));
        assert_eq!(none.status, 400);
        assert!(none.sentence.contains("JSON-RPC") && none.sentence.contains("later version"));
        for others in ["jsonrpc", "bowline.v2", "BOWLINE.V1", "bowline.v1x"] {
            let other = rejection(|parts| {
                parts.headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(others));
            });
            assert_eq!(other.status, 400);
            assert!(other.sentence.contains("does not offer"));
        }
    }

    #[test]
    fn a_strange_origin_is_forbidden_whatever_else_is_right() {
        let rejected = rejection(|parts| {
            parts.headers.insert("origin", HeaderValue::from_static("https://evil.com"));
        });
        assert_eq!(rejected.status, 403);
    }
}
