//! One number, shared by everybody who looks.

use bowline::prelude::*;
#[cfg(target_arch = "wasm32")]
use leptos::prelude::*;
#[cfg(not(target_arch = "wasm32"))]
use tokio::sync::watch;

/// What the server can do and the page can call.
#[bowline::rpc]
pub trait Counter {
    /// The number; whoever watches sees its newest value.
    #[rpc(watch)]
    fn value(&self) -> impl Stream<Item = i64>;

    /// Adds `by` and returns the sum.
    async fn add(&self, by: i64) -> i64;
}

/// The server: the number, in memory.
#[cfg(not(target_arch = "wasm32"))]
#[derive(Debug, Default)]
pub struct Shared(watch::Sender<i64>);

#[cfg(not(target_arch = "wasm32"))]
impl Counter for Shared {
    fn value(&self) -> impl Stream<Item = i64> {
        tokio_stream::wrappers::WatchStream::new(self.0.subscribe())
    }

    async fn add(&self, by: i64) -> i64 {
        self.0.send_modify(|number| *number = number.saturating_add(by));
        *self.0.borrow()
    }
}

/// The page: the number, two buttons, and the state of the connection in words.
#[cfg(target_arch = "wasm32")]
#[component]
pub fn App() -> impl IntoView {
    let socket = bowline::leptos::use_websocket("ws");
    let counter = socket.client::<CounterClient>();
    let number = counter.value_signal();
    let add = counter.add_action();
    view! {
        <main class="stage"><section class="card">
            <h1>"Counter"</h1>
            <output class="count" class:stale=number.stale>{move || number.value.get()}</output>
            <div class="row">
                <button id="less" on:click=move |_| add.dispatch(-1)>"−1"</button>
                <button id="more" class="primary" on:click=move |_| add.dispatch(1)>"+1"</button>
            </div>
            <p id="added" class="soft" role="status" class:late=add.pending>{move || if add.pending.get() { Some("adding…".into()) } else { add.error.get().map(|error| error.to_string()) }}</p>
            <p id="state" class="soft" role="status">{move || socket.state.get().to_string()}</p>
        </section></main>
    }
}
