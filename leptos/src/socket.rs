use std::{fmt, time::Duration};

use bowline_client::{Client, State};
use bowline_rpc::{Channel, ServiceClient};
use bowline_runtime::sleep;
use futures_util::{
    StreamExt,
    future::{Either, select},
};
use leptos::prelude::*;

use crate::{follow::Slot, registry};

/// How often the round-trip time is looked up. A ping is sent only after a while of silence, so more would show nothing.
const LOOK: Duration = Duration::from_secs(5);

/// Connects to a Bowline server for as long as the component lives, and shows how that goes.
///
/// `url` is relative to the page, like that of a link: `"/ws"`, `"ws"`, `"wss://example.org/ws"`. Components that
/// name the same URL share one connection. When the last of them is gone the connection stays for five seconds, so
/// that going from one view to another keeps it.
///
/// The connection is made in the background and made again whenever it is lost; calls wait for it within their
/// deadline. Use [`use_client`] for a connection with layers, served traits or other limits.
///
/// # Server-side rendering
///
/// No socket is opened on the server: the state is [`State::Idle`], hooks call nothing, and a call that is made all
/// the same ends with `Closed`. Calling services while a page is rendered comes with a later version.
///
/// # Cleanup
///
/// The state is no longer followed when the owner of the hook ends; the connection is left to the others.
///
/// # Examples
///
/// ```no_run
/// use bowline_leptos::use_websocket;
/// use leptos::prelude::*;
///
/// #[component]
/// fn Status() -> impl IntoView {
///     let socket = use_websocket("/ws");
///     view! {
///         <p>{move || socket.state.get().to_string()}</p>
///         <button on:click=move |_| socket.reconnect()>"Try now"</button>
///     }
/// }
/// ```
pub fn use_websocket(url: &str) -> UseWebSocketReturn {
    if cfg!(feature = "ssr") {
        return use_client(Client::builder(url).idle());
    }
    use_client(registry::join(url))
}

/// Shows a connection that the application has made itself, with layers, served traits or a connector of its own.
///
/// # Cleanup
///
/// The state is no longer followed, and this handle of the client is dropped, when the owner of the hook ends.
pub fn use_client(client: Client) -> UseWebSocketReturn {
    let state = ArcRwSignal::new(client.state());
    let latency = ArcRwSignal::new(None);
    let (shown, measured) = (state.read_only().into(), latency.read_only().into());
    if !cfg!(feature = "ssr") {
        let mut states = client.states();
        let client = client.clone();
        Slot::new().run(async move {
            loop {
                match select(states.next(), sleep(LOOK)).await {
                    Either::Left((Some(now), _)) => state.set(now),
                    Either::Left((None, _)) => return,
                    Either::Right(_) => {}
                }
                let now = client.round_trip();
                if latency.get_untracked() != now {
                    latency.set(now);
                }
            }
        });
    }
    UseWebSocketReturn { state: shown, latency: measured, client: StoredValue::new(client) }
}

/// [`use_websocket`], given to every component below this one, where [`expect_websocket`] finds it.
pub fn provide_websocket(url: &str) -> UseWebSocketReturn {
    let socket = use_websocket(url);
    provide_context(socket);
    socket
}

/// The connection that a component further up gave with [`provide_websocket`].
///
/// # Panics
///
/// If there is none.
pub fn expect_websocket() -> UseWebSocketReturn {
    use_context().expect("a component further up calls `provide_websocket`")
}

/// A connection as signals. From [`use_websocket`].
#[derive(Clone, Copy)]
pub struct UseWebSocketReturn {
    /// What the connection is doing; its `Display` is a sentence for people.
    pub state: ReadSignal<State>,
    /// How long the server took to answer the last ping, looked up every five seconds; `None` without a link.
    pub latency: ReadSignal<Option<Duration>>,
    client: StoredValue<Client>,
}

impl UseWebSocketReturn {
    /// A stub for the service that `C` was generated for.
    ///
    /// # Panics
    ///
    /// After the end of the owner of the hook, as signals do.
    pub fn client<C: ServiceClient>(&self) -> C {
        self.client.with_value(Client::client)
    }

    /// What stubs talk to.
    ///
    /// # Panics
    ///
    /// After the end of the owner of the hook, as signals do.
    pub fn channel(&self) -> Channel {
        self.client.with_value(Client::channel)
    }

    /// Connects now: ends a wait between two tries, tries again after a refusal, and comes back after
    /// [`disconnect`](Self::disconnect).
    pub fn reconnect(&self) {
        self.client.try_with_value(Client::reconnect);
    }

    /// Goes offline, for every component that shares the connection, until [`reconnect`](Self::reconnect): the link goes and
    /// the session stays, as when the network fails. See [`Client::disconnect`].
    pub fn disconnect(&self) {
        self.client.try_with_value(Client::disconnect);
    }

    /// Closes the connection for good, for every component that shares it.
    ///
    /// A component that is made later and names the same URL gets a new one.
    pub fn close(&self) {
        if let Some(client) = self.client.try_get_value() {
            bowline_runtime::spawn(async move { client.close().await }).detach();
        }
    }
}

impl fmt::Debug for UseWebSocketReturn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UseWebSocketReturn").finish_non_exhaustive()
    }
}
