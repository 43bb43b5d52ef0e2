//! Links over the page's WebSocket: [`WebConnector`] and [`WebLink`].
//!
//! JavaScript values stay inside a link; nothing here is `Send`, and nothing asks for it.

mod connector;
mod endpoint;
mod link;
mod listener;
mod socket;
mod wake;

pub use connector::WebConnector;
pub use link::WebLink;
pub use wake::WebWakeSignals;
