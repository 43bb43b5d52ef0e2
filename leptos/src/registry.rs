//! The connections of a page, by URL.

use std::{
    collections::HashMap,
    sync::{LazyLock, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bowline_client::{Client, State};
use bowline_runtime::{Task, sleep, spawn};
use leptos::prelude::*;

/// How long a connection that nobody uses is kept: longer than it takes to go from one view to another.
const LINGER: Duration = Duration::from_secs(5);

static CONNECTIONS: LazyLock<Mutex<HashMap<String, Connection>>> = LazyLock::new(Mutex::default);

struct Connection {
    client: Client,
    users: usize,
    /// Ends the connection when nobody has come back in time.
    leaving: Option<Task>,
}

/// The connection to `url`, made if there is none, kept at least until the end of the current owner.
pub(crate) fn join(url: &str) -> Client {
    let url = absolute(url);
    let client = {
        let mut connections = connections();
        // One that was closed on purpose is of no use to those who come later.
        if connections.get(&url).is_some_and(|connection| connection.client.state() == State::Closed) {
            connections.remove(&url);
        }
        let connection = connections.entry(url.clone()).or_insert_with(|| Connection {
            client: Client::builder(&url).connect_lazy(),
            users: 0,
            leaving: None,
        });
        connection.users += 1;
        connection.leaving = None;
        connection.client.clone()
    };
    let joined = client.clone();
    on_cleanup(move || leave(url, &joined));
    client
}

fn leave(url: String, client: &Client) {
    let mut connections = connections();
    // A closed one may have been replaced in the meantime: then these are not our users.
    let Some(connection) = connections.get_mut(&url).filter(|connection| connection.client.is_same(client))
    else {
        return;
    };
    connection.users -= 1;
    if connection.users == 0 {
        connection.leaving = Some(spawn(async move {
            sleep(LINGER).await;
            let mut connections = self::connections();
            // Somebody may have come back at the last moment.
            if connections.get(&url).is_some_and(|connection| connection.users == 0)
                && let Some(task) = connections.remove(&url).and_then(|connection| connection.leaving)
            {
                // It is the one that runs here.
                task.detach();
            }
        }));
    }
}

fn connections() -> MutexGuard<'static, HashMap<String, Connection>> {
    CONNECTIONS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The URL as the page would resolve it, with the scheme of sockets.
#[cfg(target_arch = "wasm32")]
fn absolute(url: &str) -> String {
    let base = web_sys::window().and_then(|window| window.document()?.base_uri().ok().flatten());
    let Some(resolved) = base.and_then(|base| web_sys::Url::new_with_base(url, &base).ok()) else {
        return url.to_owned();
    };
    match resolved.protocol().as_str() {
        "http:" => resolved.set_protocol("ws:"),
        "https:" => resolved.set_protocol("wss:"),
        _ => {}
    }
    // A socket's URL has no fragment; the page's may.
    resolved.set_hash("");
    resolved.href()
}

/// There is no page to be relative to.
#[cfg(not(target_arch = "wasm32"))]
fn absolute(url: &str) -> String {
    url.to_owned()
}
