mod asker;
mod call_future;
mod endpoint;
mod exchange;
mod key;
mod notify_future;
mod prepared;
mod retry;
mod setters;
mod stream_future;

pub use call_future::{CallFuture, ViewFuture};
pub use endpoint::{Endpoint, EndpointFuture};
pub use key::CallKey;
pub use notify_future::NotifyFuture;
pub use stream_future::StreamFuture;

pub(crate) use asker::Asker;
pub(crate) use call_future::failure;
pub(crate) use exchange::{Exchange, Opened};
pub(crate) use prepared::Recipe;
