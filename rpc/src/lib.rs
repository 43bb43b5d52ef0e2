//! The typed middle of Bowline: calls, context, streams, views, router, channel, topic.
//!
//! Everything that `#[rpc]` expands to lives here as normal code, and everything between a stub and a session, and
//! between a session and a handler. It knows no socket, and not which end it is on: a [`Peer`] is one end of a session,
//! a [`Channel`] puts calls on it, a [`Dispatcher`] runs those that come in. Applications use the `bowline` crate.

mod boxed;
mod call;
mod cancellation;
mod channel;
mod client;
mod context;
mod error;
mod few;
pub mod macros;
mod metadata;
mod once;
mod peer;
mod reply;
mod router;
mod server;
mod stream;
mod topic;

pub use bowline_protocol::codec::{Argument, Output, Payload, View, ViewPayload};

pub use boxed::{BoxError, status_of};
pub use call::Call;
pub use cancellation::Cancellation;
pub use channel::{Channel, Line, ServiceClient};
pub use client::{CallFuture, CallKey, Endpoint, EndpointFuture, NotifyFuture, StreamFuture, ViewFuture};
pub use context::{Context, SessionInfo};
pub use error::{CallError, StreamError};
pub use metadata::Metadata;
pub use once::OnceStore;
pub use peer::{Peer, PeerStats, Rest, Transmit};
pub use reply::Reply;
pub use router::{ReplyFuture, Router, RouterFuture, Service};
pub use server::Dispatcher;
pub use stream::{Encoded, Item, Items, Sink, StreamEnd, StreamOutput, Streaming, Upload};
pub use topic::{Position, Shared, Subscription, Topic};
