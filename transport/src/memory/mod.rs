//! Links inside one process, with the faults of a real network on demand.
//!
//! For tests: of a reconnect screen, of a client without a socket, of anything that has to live with a link that
//! stalls, breaks or silently swallows what it is given. [`pair`] makes two connected links; [`network`] makes a
//! listener and a [`MemoryConnector`] that stands in wherever a connector is asked for. The faults of both are
//! controlled at run time through [`Faults`].
//!
//! Time is that of `bowline_runtime`: under tokio's paused clock a delay of an hour takes no time.
//!
//! ```
//! use bowline_transport::memory::network;
//! use bowline_transport::{Connect, ConnectError, Link, LinkError, Received};
//! use std::future::poll_fn;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (mut listener, connector) = network();
//! let mut client = connector.connect("memory").await?;
//! let mut server = listener.accept().await.expect("the connector is alive");
//!
//! poll_fn(|cx| client.poll_ready(cx)).await?;
//! client.start_send("hello".into())?;
//! let received = poll_fn(|cx| server.poll_receive(cx)).await?;
//! assert_eq!(received, Received::Binary("hello".into()));
//!
//! // The network goes away: living links are lost, and new ones are refused until it is back.
//! connector.faults().unplug();
//! assert!(matches!(poll_fn(|cx| client.poll_receive(cx)).await, Err(LinkError::Lost(_))));
//! assert!(matches!(connector.connect("memory").await, Err(ConnectError::Refused(_))));
//! connector.faults().plug();
//! assert!(connector.connect("memory").await.is_ok());
//! # Ok(())
//! # }
//! ```

mod faults;
mod link;
mod network;
mod wire;

pub use faults::Faults;
pub use link::{MemoryLink, pair};
pub use network::{MemoryConnector, MemoryListener, network};
