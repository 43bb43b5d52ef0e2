//! The client's side of the upgrade, by hand: the socket library gives the connection away together with the
//! sentence that says why it was refused.

use std::time::Duration;

use bowline_protocol::envelope::SUBPROTOCOL;
use http::header::{self, HeaderMap, HeaderName};
use http::{HeaderValue, StatusCode};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::{Request, Response, generate_request};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::handshake::machine::TryParse;

use super::endpoint::Endpoint;
use crate::ConnectError;

/// More headers than this are no answer to an upgrade.
const HEAD_MAX: usize = 16 * 1024;
/// How much of a refusal is read, and for how long: enough for a sentence.
const REFUSAL_MAX: usize = 4 * 1024;
const REFUSAL_WAIT: Duration = Duration::from_secs(1);
/// How much of it is kept for people.
const SENTENCE_MAX: usize = 500;

/// Asks for the upgrade and checks the answer. Returns what was read behind it.
pub(super) async fn upgrade<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    endpoint: &Endpoint,
    headers: &HeaderMap,
) -> Result<Vec<u8>, ConnectError> {
    let (request, key) = generate_request(request(endpoint, headers)?).map_err(protocol)?;
    stream.write_all(&request).await.map_err(ConnectError::Unreachable)?;
    stream.flush().await.map_err(ConnectError::Unreachable)?;

    let mut read = Vec::with_capacity(1024);
    let (head, response) = loop {
        if let Some(parsed) = Response::try_parse(&read).map_err(protocol)? {
            break parsed;
        }
        if read.len() >= HEAD_MAX {
            return Err(protocol("the answer to the upgrade has no end"));
        }
        if stream.read_buf(&mut read).await.map_err(ConnectError::Unreachable)? == 0 {
            return Err(protocol("the connection was closed instead of an answer"));
        }
    };
    read.drain(..head);
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(refusal(stream, &response, read).await);
    }
    check(response.headers(), &key)?;
    Ok(read)
}

fn request(endpoint: &Endpoint, headers: &HeaderMap) -> Result<Request, ConnectError> {
    let mut request = endpoint.uri.clone().into_client_request().map_err(protocol)?;
    request.headers_mut().extend(headers.clone());
    // Last, so that nothing else is offered in its place.
    let offer = HeaderValue::from_static(SUBPROTOCOL);
    request.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, offer);
    Ok(request)
}

fn check(headers: &HeaderMap, key: &str) -> Result<(), ConnectError> {
    let has = |name: HeaderName, word: &str| {
        let mut values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.any(|value| value.split(',').any(|part| part.trim().eq_ignore_ascii_case(word)))
    };
    if !has(header::UPGRADE, "websocket") || !has(header::CONNECTION, "upgrade") {
        return Err(protocol("the answer upgrades to something else"));
    }
    if headers
        .get(header::SEC_WEBSOCKET_ACCEPT)
        .is_none_or(|value| *value != derive_accept_key(key.as_bytes()))
    {
        return Err(protocol("the answer belongs to another request"));
    }
    if headers.contains_key(header::SEC_WEBSOCKET_EXTENSIONS) {
        return Err(protocol("the server chose an extension that was not offered"));
    }
    match headers.get(header::SEC_WEBSOCKET_PROTOCOL) {
        Some(chosen) if chosen == SUBPROTOCOL => Ok(()),
        Some(_) => Err(protocol("the server chose another subprotocol")),
        None => Err(protocol("the server chose no subprotocol")),
    }
}

/// Reads the sentence of a refusal, as far as it comes.
async fn refusal<S: AsyncRead + Unpin>(
    stream: &mut S,
    response: &Response,
    mut body: Vec<u8>,
) -> ConnectError {
    let length = response.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|value| value.to_str().ok()?.parse().ok());
    let wanted = length.unwrap_or(REFUSAL_MAX).min(REFUSAL_MAX);
    let reading =
        async { while body.len() < wanted && stream.read_buf(&mut body).await.is_ok_and(|read| read > 0) {} };
    // Without the whole sentence the status still says something.
    let _ = bowline_runtime::timeout(REFUSAL_WAIT, reading).await;
    body.truncate(wanted);
    let chunked = response.headers().contains_key(header::TRANSFER_ENCODING);
    let status = response.status();
    ConnectError::Upgrade {
        status: status.as_u16(),
        message: sentence(&body)
            .filter(|_| !chunked)
            .unwrap_or_else(|| status.canonical_reason().unwrap_or("no reason given").to_owned()),
    }
}

/// The first line of a text. A page of HTML is for browsers.
fn sentence(body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(body);
    let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    let printable = |c: char| !c.is_control();
    (!line.starts_with('<')).then(|| line.chars().filter(|c| printable(*c)).take(SENTENCE_MAX).collect())
}

fn protocol(problem: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ConnectError {
    ConnectError::Protocol(problem.into())
}
