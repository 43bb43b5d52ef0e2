//! The server end of Bowline: sessions, Axum integration, in-process channel.
//!
//! A [`Server`] holds services and the layers around their calls. It is mounted as a route of Axum
//! ([`Server::handler`]), as a layer in front of any HTTP service ([`Server::layer`]) or alone ([`serve`]), and
//! programs call it without a socket ([`Server::channel`]).
//!
//! What this crate never knows: Leptos and clients. Applications use the `bowline` crate, which re-exports what
//! they need.

mod address;
mod builder;
mod digest;
mod identify;
mod layer;
mod link;
mod mail;
mod node;
mod places;
mod serve;
mod server;
mod session;
mod upgrade;

pub use address::forwarded_for;
pub use builder::ServerBuilder;
pub use identify::{Credentials, Identify, Refused};
pub use layer::{Answer, Upgrade, UpgradeLayer};
pub use serve::{Serve, serve};
pub use server::Server;
pub use upgrade::{InvalidOrigin, Origin};
