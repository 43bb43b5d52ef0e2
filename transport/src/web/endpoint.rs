use wasm_bindgen::JsValue;
use web_sys::Url;

use crate::ConnectError;

/// Makes an absolute `ws:` or `wss:` URL of `endpoint`; relative ones belong to the page.
pub(super) fn resolve(endpoint: &str) -> Result<String, ConnectError> {
    let location = js_sys::Reflect::get(&js_sys::global(), &JsValue::from_str("location"))
        .and_then(|location| js_sys::Reflect::get(&location, &JsValue::from_str("href")));
    let page = location.ok().and_then(|href| href.as_string());
    resolve_against(endpoint, page.as_deref())
}

fn resolve_against(endpoint: &str, page: Option<&str>) -> Result<String, ConnectError> {
    let refuse = |problem| ConnectError::Endpoint { endpoint: endpoint.to_owned(), problem };
    if endpoint.contains('#') {
        return Err(refuse("a WebSocket URL has no fragment (`#..`)"));
    }
    if endpoint.starts_with("http:") || endpoint.starts_with("https:") {
        return Err(refuse("write `ws://` or `wss://` instead of `http`"));
    }
    let url = match page {
        Some(page) => Url::new_with_base(endpoint, page),
        None => Url::new(endpoint),
    };
    let url = url.map_err(|_| refuse("it is neither a URL nor a path on this page's server"))?;
    url.set_hash("");
    match url.protocol().as_str() {
        // A page that came encrypted may not open a plain socket.
        "https:" => url.set_protocol("wss:"),
        "http:" => url.set_protocol("ws:"),
        "ws:" | "wss:" => {}
        _ => return Err(refuse("it has to be a path, or to start with `ws://` or `wss://`")),
    }
    Ok(url.href())
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_browser);

    #[wasm_bindgen_test]
    fn a_path_belongs_to_the_page() {
        let page = Some("https://example.org:444/rooms/1?x=1#top");
        let resolve = |endpoint| resolve_against(endpoint, page).unwrap();
        assert_eq!(resolve("/ws"), "wss://example.org:444/ws");
        assert_eq!(resolve("/ws?room=1"), "wss://example.org:444/ws?room=1");
        assert_eq!(resolve("ws"), "wss://example.org:444/rooms/ws");
        assert_eq!(resolve("ws://other/ws"), "ws://other/ws");
        assert_eq!(resolve_against("/ws", Some("http://localhost:3000/")).unwrap(), "ws://localhost:3000/ws");
    }

    #[wasm_bindgen_test]
    fn the_page_is_asked_for_its_address() {
        assert!(resolve("/ws").unwrap().ends_with("/ws"));
    }

    #[wasm_bindgen_test]
    fn what_is_no_endpoint_is_refused_for_good() {
        let page = Some("https://example.org/");
        for endpoint in ["http://a/", "ftp://a/", "/ws#top", "ws://", "ws://a:99999/"] {
            assert!(resolve_against(endpoint, page).unwrap_err().is_permanent(), "{endpoint}");
        }
        assert!(resolve_against("/ws", None).is_err());
    }
}
