//! The host: the page's files, Bowline's service, and the same for sockets that are written by hand.

mod by_hand;
mod frames;
mod listener;
mod service;
mod wires;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;
use axum::routing::get;
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;
use tower_http::services::ServeDir;

use crate::{BenchServer, Tick};
use listener::{Counting, Over};
use wires::Wires;
pub use wires::{Direction, Traffic};

/// Between two ticks.
pub const PACE: Duration = Duration::from_millis(5);

/// A back end, and who uses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Who {
    /// Bowline's own, both ends.
    Bowline,
    /// A page that is written by hand.
    WebSys,
    /// A page with the hook of `leptos-use`.
    LeptosUse,
}

impl Who {
    /// In the order of tables.
    pub const ALL: [Self; 3] = [Self::Bowline, Self::WebSys, Self::LeptosUse];

    /// What the page and the paths call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bowline => "bowline",
            Self::WebSys => "web-sys",
            Self::LeptosUse => "leptos-use",
        }
    }

    fn path(self) -> String {
        format!("/ws/{}", self.name())
    }
}

/// What reached the handlers of one back end, and what left them.
#[derive(Debug, Default)]
pub(crate) struct Served {
    calls: AtomicU64,
    items: AtomicU64,
    ticks: AtomicU64,
}

/// What all back ends share.
#[derive(Debug)]
pub(crate) struct Stage {
    start: Instant,
    published: broadcast::Sender<Tick>,
    newest: watch::Sender<Tick>,
    served: [Served; 3],
}

impl Stage {
    /// Microseconds of the host's clock.
    fn now(&self) -> u64 {
        self.start.elapsed().as_micros() as u64
    }

    fn count(&self, who: Who, of: impl Fn(&Served) -> &AtomicU64) {
        of(&self.served[who as usize]).fetch_add(1, Ordering::Relaxed);
    }
}

/// A host that runs until it is dropped.
#[derive(Debug)]
pub struct Host {
    address: SocketAddr,
    stage: Arc<Stage>,
    wires: Wires,
    tasks: [JoinHandle<()>; 2],
}

impl Host {
    /// Serves the page in the folder `site` and all back ends on a free port of loopback.
    ///
    /// # Errors
    ///
    /// When there is no port.
    pub async fn start(site: &Path) -> std::io::Result<Self> {
        let first = Tick { number: 0, at: 0 };
        let stage = Arc::new(Stage {
            start: Instant::now(),
            published: broadcast::Sender::new(1024),
            newest: watch::Sender::new(first),
            served: Default::default(),
        });
        let server =
            bowline::Server::builder().service(BenchServer::new(service::Service(stage.clone()))).build();
        let wires = Wires::default();
        let mut sockets = Router::new().route(&Who::Bowline.path(), server.handler());
        for who in [Who::WebSys, Who::LeptosUse] {
            let stage = stage.clone();
            sockets = sockets.route(
                &who.path(),
                get(async move |upgrade: axum::extract::WebSocketUpgrade| {
                    upgrade.on_upgrade(move |socket| by_hand::serve(socket, stage, who))
                }),
            );
        }
        let app = sockets
            .layer(axum::middleware::from_fn_with_state(wires.clone(), wires::remember))
            .fallback_service(ServeDir::new(site))
            .layer(axum::middleware::map_response(isolated));
        let listener = Counting(tokio::net::TcpListener::bind("127.0.0.1:0").await?);
        let address = listener.0.local_addr()?;
        let app = app.into_make_service_with_connect_info::<Over>();
        let serving = tokio::spawn(async move {
            // It ends for no reason of its own.
            let _ = axum::serve(listener, app).await;
        });
        let publishing = tokio::spawn(publish(stage.clone()));
        Ok(Self { address, stage, wires, tasks: [serving, publishing] })
    }

    /// Where the page is.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Calls that a back end has answered so far.
    pub fn calls(&self, who: Who) -> u64 {
        self.stage.served[who as usize].calls.load(Ordering::Relaxed)
    }

    /// Items of counts that a back end has made so far.
    pub fn items(&self, who: Who) -> u64 {
        self.stage.served[who as usize].items.load(Ordering::Relaxed)
    }

    /// Ticks that a back end has handed to its sockets so far.
    pub fn ticks(&self, who: Who) -> u64 {
        self.stage.served[who as usize].ticks.load(Ordering::Relaxed)
    }

    /// What the newest socket of a back end carried so far; `None` when there was none.
    pub fn traffic(&self, who: Who) -> Option<Arc<Traffic>> {
        self.wires.of(&who.path())
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Publishes in real time, for as long as the host lives.
async fn publish(stage: Arc<Stage>) {
    let mut pace = tokio::time::interval(PACE);
    for number in 1.. {
        pace.tick().await;
        let tick = Tick { number, at: stage.now() };
        stage.newest.send_replace(tick);
        // Fails while nobody listens.
        let _ = stage.published.send(tick);
    }
}

/// A page that is isolated from others gets a clock of 5 µs instead of 100 µs.
async fn isolated(mut response: Response) -> Response {
    for (name, value) in
        [("cross-origin-opener-policy", "same-origin"), ("cross-origin-embedder-policy", "require-corp")]
    {
        response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    response
}
