//! Type-safe WebSocket RPC for Rust, with reactive bindings for Leptos.
//!
//! A protocol is written once, as a trait. From it come the server's handlers behind Tower layers, typed clients for
//! native programs and for the browser, and Leptos signals:
//!
//! ```
//! use bowline::prelude::*;
//!
//! #[bowline::rpc]
//! trait Greeter {
//!     /// Says hello.
//!     async fn greet(&self, name: String) -> Result<String, Nameless>;
//!
//!     /// Counts down to zero.
//!     fn countdown(&self, from: u32) -> impl Stream<Item = u32>;
//! }
//!
//! #[bowline::message]
//! #[derive(Debug, PartialEq, thiserror::Error)]
//! #[error("nobody can be greeted without a name")]
//! struct Nameless;
//!
//! struct Polite;
//!
//! impl Greeter for Polite {
//!     async fn greet(&self, name: String) -> Result<String, Nameless> {
//!         if name.is_empty() { Err(Nameless) } else { Ok(format!("Good day, {name}.")) }
//!     }
//!
//!     fn countdown(&self, from: u32) -> impl Stream<Item = u32> {
//!         futures_util::stream::iter((0..=from).rev())
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = bowline::Server::builder().service(GreeterServer::new(Polite)).build();
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! let url = format!("ws://{}/", listener.local_addr()?);
//! tokio::spawn(bowline::serve(listener, server).into_future());
//!
//! let greeter = GreeterClient::connect(url).await?;
//! assert_eq!(greeter.greet("Ada".into()).await?, "Good day, Ada.");
//! assert_eq!(greeter.greet(String::new()).await, Err(CallError::Application(Nameless)));
//!
//! let mut countdown = greeter.countdown(2).await?;
//! let mut numbers = Vec::new();
//! while let Some(number) = countdown.next().await {
//!     numbers.push(number?);
//! }
//! assert_eq!(numbers, [2, 1, 0]);
//! # Ok(())
//! # }
//! ```
//!
//! # Concepts
//!
//! - A **service** is a trait with [`#[bowline::rpc]`](macro@rpc); its **methods** are calls of one of six kinds, told by
//!   their signature and attribute: unary, server stream, client stream, bidirectional, watch, notify. What crosses the
//!   wire carries [`#[bowline::message]`](macro@message).
//! - A **session** is the connection that calls belong to; a **link** is one socket of it. [`Client`] keeps a session to a
//!   server and makes its links again when they are lost; [`State`] shows how that goes. [`Server`] answers.
//! - A **channel** is what a generated client talks to: the session of a [`Client`], a session seen from the server
//!   (`Context::client`, inside a handler), or a server in the same process (`Server::channel`).
//! - A **call** ends in exactly one way, which its caller is told: a value, the method's own error, or what Bowline knows
//!   ([`CallError`]). After a lost link that includes whether the handler may have run. Dropping the future or the stream
//!   of a call cancels it at the other end.
//! - A **topic** ([`Topic`]) gives each item to the streams of many calls, encoded once. Items are numbered: a reader that
//!   says which [`Position`] it knows goes on from there.
//! - **Layers** are [`tower`](https://docs.rs/tower) services around each call, on either side.
//! - Two ends whose types are equal exchange [rkyv](https://docs.rs/rkyv) archives, validated and readable in place with
//!   [`View`]; where they differ, the methods concerned speak JSON.
//!
//! # Features
//!
//! | Feature | Default | What it adds |
//! |---|---|---|
//! | `client` | yes | [`Client`], natively and in a browser |
//! | `server` | yes | [`Server`] and [`serve`], on native targets; costs axum and hyper |
//! | `leptos` | | the module `leptos` and signals on generated clients; costs leptos |
//! | `csr`, `hydrate`, `ssr` | | `leptos`, and the feature of the same name there: which kind of page is built |
//! | `metrics` | | `middleware::MetricsLayer`, and what links, sessions and breakers count; costs the crate `metrics` |
//! | `uuid`, `chrono`, `json` | | `Uuid`, `DateTime<Utc>` and `serde_json::Value` as fields of messages |
//!
//! # How it is put together
//!
//! This crate only re-exports. `bowline-protocol` is the wire and the session machine, without sockets or clocks;
//! `bowline-rpc` is what the macros expand to; `bowline-transport` moves whole messages; `bowline-middleware` has
//! layers; `bowline-server`, `bowline-client` and `bowline-leptos` are the ends.

#[doc(hidden)]
pub mod __private;

pub use bowline_macros::{message, rpc};
pub use bowline_protocol::{
    codec::{Aligned, Buffer, Codec, DecodePayloadError, EncodeError, with::With},
    envelope::{GapReason, Secret},
    limits::{Limits, Rate, Timing},
    once::OnceLimits,
    registry::{NodeLimits, RegistryCounted, RegistryHeld, RegistryStats},
    schema::{Lag, MethodDescriptor, MethodKind, Retry, ServiceDescriptor},
    status::{CloseCode, Code, Delivery, Status},
};
pub use bowline_rpc::{
    BoxError, Call, CallError, CallFuture, CallKey, Cancellation, Channel, Context, Encoded, Endpoint,
    EndpointFuture, Item, Metadata, NotifyFuture, Output, Payload, Position, Reply, ReplyFuture, Router,
    RouterFuture, Service, ServiceClient, Shared, StreamEnd, StreamError, StreamFuture, Streaming,
    Subscription, Topic, View, ViewFuture, ViewPayload,
};
pub use bowline_runtime::{BoxFuture, MaybeSend, MaybeSync};

#[cfg(feature = "client")]
pub use bowline_client::{Arrival, Builder as ClientBuilder, Client, ConnectFailed, State};
#[cfg(all(feature = "server", not(target_arch = "wasm32")))]
pub use bowline_server::{
    Answer, Credentials, Identify, InvalidOrigin, Origin, Refused, Serve, Server, ServerBuilder, Upgrade,
    UpgradeLayer, forwarded_for, serve,
};

/// Moving whole messages: links, connectors, and a network in memory for tests of your own.
///
/// A driver of your own also names what `bowline-rpc` and `bowline-protocol` have for drivers, such as `Peer`, from there.
pub mod transport {
    pub use bowline_transport::*;
}

/// Tower layers around calls, on either side.
///
/// # Circuit breaker
///
/// Calls to a service that fails are refused for a while, with the wait, before they are sent. Its state can be shown:
///
/// ```
/// use bowline::middleware::{BreakerConfig, BreakerLayer, BreakerState};
/// use bowline::prelude::*;
///
/// #[bowline::rpc]
/// trait Oracle {
///     async fn ask(&self) -> String;
/// }
///
/// struct Broken;
///
/// impl Oracle for Broken {
///     async fn ask(&self) -> String {
///         panic!("no answer today")
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let breaker = BreakerLayer::new(BreakerConfig { min_calls: 5, ..BreakerConfig::default() })?;
/// let handle = breaker.handle();
/// let server = bowline::Server::builder().service(OracleServer::new(Broken)).layer(breaker).build();
/// let oracle = OracleClient::from_channel(server.channel());
///
/// assert_eq!(handle.state("Oracle"), BreakerState::Closed);
/// for _ in 0..5 {
///     assert!(matches!(oracle.ask().await, Err(CallError::Internal { .. })));
/// }
/// assert!(matches!(handle.state("Oracle"), BreakerState::Open { .. }));
/// assert!(matches!(oracle.ask().await, Err(CallError::Unavailable { retry_after: Some(_), .. })));
///
/// // A client takes one by `ClientBuilder::breaker`: then each service has a breaker for each endpoint.
/// // The same as a stream, for a page or a log.
/// let mut states = handle.states("Oracle");
/// assert!(matches!(states.next().await, Some(BreakerState::Open { .. })));
/// # Ok(())
/// # }
/// ```
///
/// # Metrics
///
/// With the feature `metrics`, through the facade of that name: install an exporter, add the layer first, so that it
/// sees what the others refuse, and let [`names`](middleware::names) say what there is:
#[cfg_attr(feature = "metrics", doc = "```")]
#[cfg_attr(not(feature = "metrics"), doc = "```text")]
/// use bowline::middleware::{MetricsLayer, names};
/// use bowline::prelude::*;
///
/// #[bowline::rpc]
/// trait Adder {
///     async fn add(&self, a: u32, b: u32) -> u32;
/// }
///
/// struct Plain;
///
/// impl Adder for Plain {
///     async fn add(&self, a: u32, b: u32) -> u32 {
///         a + b
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let exporter = metrics_util::debugging::DebuggingRecorder::new();
/// # let seen = exporter.snapshotter();
/// # exporter.install()?;
/// // Any exporter of the `metrics` crate is installed by now.
/// names::describe();
/// let server =
///     bowline::Server::builder().service(AdderServer::new(Plain)).layer(MetricsLayer::server()).build();
/// let adder = AdderClient::from_channel(server.channel());
/// assert_eq!(adder.add(1, 2).await?, 3);
///
/// // It has now seen `bowline.server.calls{rpc.method="Adder/add"}`, among others.
/// # let seen = seen.snapshot().into_vec();
/// # let calls = seen.iter().find(|(key, ..)| key.key().name() == names::SERVER_CALLS.name).unwrap();
/// # assert_eq!(calls.0.key().labels().next().unwrap().value(), "Adder/add");
/// # Ok(())
/// # }
/// ```
pub mod middleware {
    pub use bowline_middleware::*;
}

/// Hooks and signals for Leptos.
#[cfg(feature = "leptos")]
pub mod leptos {
    pub use bowline_leptos::*;
}

/// What most files that name Bowline need: `use bowline::prelude::*`.
pub mod prelude {
    pub use bowline_rpc::{
        CallError, Context, ServiceClient as _, Shared, StreamError, Streaming, Subscription, Topic, View,
    };
    pub use futures_core::Stream;
    pub use futures_util::StreamExt as _;

    #[cfg(feature = "client")]
    pub use bowline_client::Connect as _;
}

/// The blocks of the README are compiled, and those that need no socket of the machine's own are run.
#[cfg(all(doctest, not(target_arch = "wasm32")))]
#[doc = include_str!("../../README.md")]
pub struct Readme;
