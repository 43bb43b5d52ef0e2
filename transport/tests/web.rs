//! Links over a page's WebSocket, in a real browser: the suite for all links, then what only browsers have.
//!
//! The other end is the example `echo`; its port is given when this is compiled, as `BOWLINE_TEST_ECHO`.
#![cfg(target_arch = "wasm32")]
#![allow(clippy::unwrap_used, reason = "helpers of tests count as tests")]

mod conformance;

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use bowline_protocol::status::CloseCode;
use bowline_runtime::now;
use bowline_transport::web::WebConnector;
use bowline_transport::{BoxLink, CloseFrame, Connect, ConnectError, Link, PlatformConnector, Received};
use bytes::Bytes;
use conformance::{Maker, ending, exchange, receive, send};
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_browser);

struct Page;

impl Maker for Page {
    async fn link(&self) -> BoxLink {
        WebConnector::new().connect(&endpoint()).await.unwrap()
    }
}

fn endpoint() -> String {
    let Some(port) = option_env!("BOWLINE_TEST_ECHO") else {
        panic!(
            "no echo server: start `cargo run -p bowline-transport --example echo`, then compile these tests with \
             BOWLINE_TEST_ECHO set to the port that it prints"
        );
    };
    format!("ws://127.0.0.1:{port}/")
}

macro_rules! conform {
    ($($check:ident)*) => {$(
        #[wasm_bindgen_test]
        async fn $check() {
            conformance::$check(&Page).await;
        }
    )*};
}

conformance::checks!(conform text_is_reported_as_text);

#[wasm_bindgen_test]
async fn a_connection_that_fails_is_an_error_and_no_link() {
    // Port 1 is on every browser's list of ports that are never connected to, port 9 mostly nobody's.
    for endpoint in ["ws://127.0.0.1:1/", "ws://127.0.0.1:9/", "ws://nobody.invalid/"] {
        let failed = WebConnector::new().connect(endpoint).await;
        assert!(matches!(failed, Err(ConnectError::Failed)), "{endpoint}: {failed:?}");
    }
}

#[wasm_bindgen_test]
async fn an_attempt_that_is_dropped_leaves_nothing_that_could_be_called() {
    for _ in 0..20 {
        drop(WebConnector::new().connect(&endpoint()));
        let attempt = WebConnector::new().connect(&endpoint());
        let started = bowline_runtime::timeout(std::time::Duration::ZERO, attempt).await;
        assert!(started.is_err(), "connected in no time");
    }
    // The events of the dropped ones would have come by now.
    let mut link = Page.link().await;
    assert_eq!(exchange(&mut link, &[Bytes::from("alive")]).await, ["alive"]);
}

#[wasm_bindgen_test]
async fn a_link_that_is_dropped_while_messages_pour_in_is_quiet() {
    let mut link = Page.link().await;
    send(&mut link, "echo:flood:1000").await;
    assert!(matches!(receive(&mut link).await, Ok(Received::Binary(_))));
    drop(link);
    let mut link = Page.link().await;
    assert_eq!(exchange(&mut link, &[Bytes::from("alive")]).await, ["alive"]);
}

#[wasm_bindgen_test]
async fn a_close_code_that_pages_may_not_send_becomes_one_that_they_may() {
    let mut link = Page.link().await;
    send(&mut link, "echo:name:mapped").await;
    let frame = CloseFrame::new(CloseCode::TOO_BIG, "far too big");
    poll_fn(|cx| link.poll_close(cx, &frame)).await;
    assert_eq!(ending(&Page, "mapped").await, "4501:1009: far too big");
}

#[wasm_bindgen_test]
async fn the_browser_is_told_at_most_128_kib_before_the_link_waits() {
    let mut link = Page.link().await;
    send(&mut link, "echo:stop:0").await;
    // In one turn of the page nothing can leave: what is taken is what the browser holds.
    let mut taken = 0;
    poll_fn(|cx| {
        while link.poll_ready(cx).map(Result::unwrap).is_ready() {
            link.start_send(Bytes::from_static(&[0; 10_000])).unwrap();
            taken += 10_000;
            assert!(taken < 1 << 20, "the link takes everything");
        }
        std::task::Poll::Ready(())
    })
    .await;
    assert!((128 * 1024..=128 * 1024 + 10_000).contains(&taken), "{taken}");
}

#[wasm_bindgen_test]
async fn the_platforms_connector_is_the_pages() {
    let mut link = PlatformConnector::default().connect(&endpoint()).await.unwrap();
    assert_eq!(exchange(&mut link, &[Bytes::from("hello")]).await, ["hello"]);
}

/// A session's deadline moves with every message; to set a timer of the browser and clear it for each cost more than the call.
#[wasm_bindgen_test]
async fn a_sleep_that_is_put_off_keeps_its_timer_and_ends_no_sooner() {
    let count = "(() => { const set = globalThis.setTimeout; globalThis.timersSet = 0; \
                 globalThis.setTimeout = (...given) => { globalThis.timersSet += 1; return set(...given); }; })()";
    js_sys::eval(count).unwrap();
    let mut sleep = bowline_runtime::sleep(Duration::from_millis(5));
    poll_fn(|cx| {
        for later in 0..100 {
            sleep.reset(now() + Duration::from_millis(5 + later));
            assert!(Pin::new(&mut sleep).poll(cx).is_pending());
        }
        Poll::Ready(())
    })
    .await;
    assert_eq!(js_sys::eval("globalThis.timersSet").unwrap(), 1);
    let deadline = sleep.deadline();
    sleep.await;
    assert!(now() >= deadline);
}

#[wasm_bindgen_test]
async fn a_sleep_that_is_brought_forward_does_not_wait_for_its_timer() {
    let mut sleep = bowline_runtime::sleep(Duration::from_secs(3600));
    poll_fn(|cx| Poll::Ready(assert!(Pin::new(&mut sleep).poll(cx).is_pending()))).await;
    sleep.reset(now());
    sleep.await;
}
