//! Leptos hooks and signals over Bowline services.
//!
//! [`use_websocket`] gives a connection whose state is a signal; a generated client made from it turns each of its
//! methods into signals: `.._query` for a call whose answer is shown, `.._action` for one that is made on a click,
//! `.._signal` for watches and streams. They are short for [`query`], [`action`], [`watch`] and [`stream`], which take
//! any closure that makes a call.
//!
//! | Hook | Closure makes | Shows |
//! |---|---|---|
//! | [`query`] | a call, again when the signals it reads change | `data`, `error`, `loading`, `stale`, `refetch()` |
//! | [`action`] | a call from an input | `dispatch(..)`, `pending`, `value`, `error`, `version` |
//! | [`submissions`] | a call from an input | `dispatch(..)`, and each call in a `list`: `pending`, `value`, `error`; `retry(..)` |
//! | [`watch`] | a watch | `value`, `error`, `stale` |
//! | [`stream`] | a stream | `.latest()`, `.keep(n)`, `.fold(init, f)`: items, `loading`, `stale`, `missed`, `interrupted`, `error`, `ended` |
//!
//! [`use_breaker`] shows a circuit breaker of the client.
//!
//! All of them belong to the owner they are made in, mostly a component: when it ends, their calls are cancelled. What
//! they return is `Copy`, like signals. They hold no state of the protocol: that lives in the client.
//!
//! # When the connection is away
//!
//! What is on the screen stays there. Queries, watches and streams say with `stale` that it may be out of date: from the
//! moment in which the connection is not live until it is current again. Calls wait in the client's outbox; [`submissions`]
//! shows each of them. [`UseWebSocketReturn::state`] tells what the connection is doing, as a sentence.
//!
//! # Server-side rendering
//!
//! Hooks may be used in components that are rendered on a server (feature `ssr`): they open no socket there, call
//! nothing, and show what they show before the first answer. Pages that travel with their data are still to come.
//!
//! Applications use the `bowline` crate with its feature `leptos`, where this crate is `bowline::leptos`.

mod action;
mod breaker;
mod follow;
mod freshness;
mod query;
mod registry;
mod socket;
mod stream;
mod submissions;
mod watch;

pub use action::{Action, action};
pub use breaker::use_breaker;
pub use query::{Query, query};
pub use socket::{UseWebSocketReturn, expect_websocket, provide_websocket, use_client, use_websocket};
pub use stream::{Folded, Kept, StreamSignal, stream};
pub use submissions::{Submission, Submissions, submissions};
pub use watch::{Watch, watch};
