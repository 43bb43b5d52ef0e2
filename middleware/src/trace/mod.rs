//! A span around each call.

mod future;
mod layer;
mod parent;
mod service;

pub use future::TraceFuture;
pub use layer::TraceLayer;
pub use service::Trace;
