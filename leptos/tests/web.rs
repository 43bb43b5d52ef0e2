//! Hooks in a page of a real browser, against a server inside the page.
#![cfg(target_arch = "wasm32")]
#![allow(clippy::unwrap_used, reason = "a test")]

use std::{
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bowline::leptos::{UseWebSocketReturn, use_client, use_websocket};
use bowline::transport::{drive, memory};
use bowline::{Client, Router, State, prelude::*};
use bowline_protocol::session::{Config, Welcoming};
use bowline_rpc::{Dispatcher, Peer, SessionInfo, status_of};
use bowline_runtime::{random_bytes, random_u128, sleep, spawn};
use leptos::prelude::*;
use leptos::web_sys::HtmlElement;
use tokio::sync::watch;
use wasm_bindgen::JsCast;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_browser);

#[bowline::rpc]
trait Board {
    async fn add(&self, by: i64) -> i64;

    #[rpc(watch)]
    fn sum(&self) -> impl Stream<Item = i64>;

    fn count(&self, to: u32) -> impl Stream<Item = u32>;

    async fn square(&self, of: i64) -> i64;
}

#[derive(Clone, Default)]
struct Shared {
    sum: watch::Sender<i64>,
    watching: Arc<AtomicU64>,
}

struct Watching(Arc<AtomicU64>);

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Board for Shared {
    async fn add(&self, by: i64) -> i64 {
        self.sum.send_modify(|sum| *sum += by);
        *self.sum.borrow()
    }

    fn sum(&self) -> impl Stream<Item = i64> {
        self.watching.fetch_add(1, Ordering::SeqCst);
        let watching = Watching(self.watching.clone());
        tokio_stream::wrappers::WatchStream::new(self.sum.subscribe()).map(move |sum| {
            let _ = &watching;
            sum
        })
    }

    fn count(&self, to: u32) -> impl Stream<Item = u32> {
        futures_util::stream::iter(0..to)
    }

    async fn square(&self, of: i64) -> i64 {
        sleep(Duration::from_millis(1)).await;
        of * of
    }
}

/// A server behind a network in memory.
fn place() -> (Shared, memory::MemoryConnector) {
    let (mut listener, connector) = memory::network();
    let shared = Shared::default();
    let board = shared.clone();
    spawn(async move {
        while let Some(link) = listener.accept().await {
            let router = Router::new().add(BoardServer::new(board.clone()));
            spawn(async move {
                let services = router.descriptors();
                let peer =
                    Peer::server(Config { limits: Default::default(), timing: Default::default(), services });
                let serving = async {
                    poll_fn(|cx| peer.poll_hello(cx)).await;
                    peer.welcome(Welcoming::new(random_u128(), random_bytes(), random_u128()));
                    let info = SessionInfo::default();
                    let mut dispatcher = Dispatcher::new(&peer, router, info, status_of);
                    poll_fn(|cx| dispatcher.poll(cx)).await
                };
                drive(link, &peer, serving).await;
            })
            .detach();
        }
    })
    .detach();
    (shared, connector)
}

fn body() -> HtmlElement {
    let place = document().create_element("div").unwrap();
    document().body().unwrap().append_child(&place).unwrap();
    place.unchecked_into()
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..2000 {
        if holds() {
            return;
        }
        sleep(Duration::from_millis(5)).await;
    }
    panic!("never: {what}");
}

#[component]
fn Page(client: Client) -> impl IntoView {
    let socket = use_client(client);
    let board = socket.client::<BoardClient>();
    let sum = board.sum_signal();
    let add = board.add_action();
    let square = board.square_query(move || sum.value.get().unwrap_or(0));
    let counted = board.count_signal(|| 5).fold(0, |total, number| *total += number);
    view! {
        <output class:stale=sum.stale>{move || sum.value.get()}</output>
        <b>{move || square.data.get()}</b>
        <i>{move || counted.value.get()}</i>
        <em>{move || socket.state.get().to_string()}</em>
        <button on:click=move |_| add.dispatch(3)>"+3"</button>
    }
}

#[wasm_bindgen_test]
async fn a_click_reaches_the_handler_and_its_effect_reaches_the_page() {
    let (shared, connector) = place();
    let client = Client::builder("memory").connector(connector.clone()).connect_lazy();
    let place = body();
    let page = leptos::mount::mount_to(place.clone(), move || view! { <Page client/> });
    let text = |name: &str| place.query_selector(name).unwrap().unwrap().text_content().unwrap();
    until("the sum is shown", || text("output") == "0" && text("em") == "live").await;
    until("the stream is folded", || text("i") == "10").await;
    place.query_selector("button").unwrap().unwrap().unchecked_into::<HtmlElement>().click();
    until("the sum has changed", || text("output") == "3").await;
    until("the query follows its argument", || text("b") == "9").await;

    connector.faults().unplug();
    let stale = || place.query_selector("output.stale").unwrap().is_some();
    until("the value is stale", || stale() && text("output") == "3").await;
    shared.sum.send_replace(4);
    connector.faults().plug();
    until("the value is fresh", || !stale() && text("output") == "4").await;

    drop(page);
    until("the watch was cancelled", || shared.watching.load(Ordering::SeqCst) == 0).await;
    until("the connection is gone", || connector.faults().links() == 0).await;
}

#[wasm_bindgen_test]
async fn a_url_is_relative_to_the_page_and_a_server_that_is_not_there_is_tried_again() {
    let seen = Arc::new(std::sync::Mutex::new(None::<UseWebSocketReturn>));
    let given = seen.clone();
    let page = leptos::mount::mount_to(body(), move || {
        *given.lock().unwrap() = Some(use_websocket("nobody-listens-here"));
    });
    let socket = seen.lock().unwrap().unwrap();
    until("a try has failed", || matches!(socket.state.get_untracked(), State::Reconnecting { .. })).await;
    socket.close();
    until("it is closed", || socket.state.get_untracked() == State::Closed).await;
    drop(page);
}
