//! Hooks in a component that is rendered on a server: they open nothing, call nothing, and do not panic.
#![cfg(all(not(target_arch = "wasm32"), feature = "ssr"))]

#[path = "../../client/tests/common/mod.rs"]
mod common;

use bowline::leptos::use_websocket;
use bowline::{State, prelude::*};
use common::OfficeClient;
use leptos::prelude::*;

/// There is no runtime of tokio here: a hook that spawned anything would panic.
#[test]
fn a_page_renders_with_what_hooks_show_before_the_first_answer() {
    let _ = any_spawner::Executor::init_futures_executor();
    let owner = Owner::new();
    owner.set();
    let socket = use_websocket("/ws");
    let office = socket.client::<OfficeClient>();
    let answer = office.echo_query(|| "hello".into());
    let level = office.level_signal(|| "a".into());
    let items = office.count_signal(|| 3).keep(3);
    let post = office.echo_action();
    post.dispatch("hello".into());
    socket.reconnect();
    let page = view! {
        <p>{move || socket.state.get().to_string()}</p>
        <p>{move || answer.loading.get().then_some("loading")}</p>
        <p>{move || answer.data.get()}</p>
        <p>{move || level.value.get()}</p>
        <p>{move || items.items.get().len()}</p>
        <p>{move || post.pending.get().then_some("pending")}</p>
    };
    let html = page.to_html();
    assert!(html.contains("idle") && html.contains("loading") && !html.contains("pending"), "{html}");
    assert_eq!(socket.state.get_untracked(), State::Idle);
}

#[tokio::test]
async fn a_call_on_the_server_ends_at_once() {
    let owner = Owner::new();
    owner.set();
    let socket = use_websocket("/ws");
    let failed = socket.client::<OfficeClient>().echo("hello".into()).await.unwrap_err();
    assert_eq!(failed, CallError::Closed);
}
