//! Links over RFC 6455 sockets: [`SocketLink`] on any tokio stream, [`NativeConnector`] for `ws://` and `wss://`.

mod connector;
mod counted;
mod endpoint;
mod frames;
mod nonblocking;
mod socket;
mod tls;
mod upgrade;
mod wake;

pub use connector::NativeConnector;
pub use socket::{Role, SocketLink, tune};
pub use tls::InvalidCertificate;
pub use wake::NativeWakeSignals;
