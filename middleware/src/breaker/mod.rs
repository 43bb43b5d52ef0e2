//! Calls to a service that fails where they go are refused for a while, before they are sent.

mod config;
mod error;
mod future;
mod handle;
mod layer;
#[cfg(test)]
mod model;
mod outcome;
mod service;
mod shared;
mod state;
#[cfg(test)]
mod tests;
mod window;

pub use config::{BreakerConfig, InvalidBreakerConfig};
pub use error::BreakerOpen;
pub use future::BreakerFuture;
pub use handle::BreakerHandle;
pub use layer::BreakerLayer;
pub use service::Breaker;
pub use state::BreakerState;
