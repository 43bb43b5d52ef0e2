//! The client end of Bowline, native and in the browser from one source.
//!
//! A [`Client`] is a connection to one server that outlives its sockets: it connects again by itself, keeps calls that
//! wait, subscribes watches anew, and shows what it is doing as a [`State`]. It also serves: a server may call the
//! services given to [`Builder::serve`].
//!
//! Applications use the `bowline` crate, which re-exports what is here.

mod builder;
mod client;
mod credentials;
mod desk;
mod disconnect;
mod driver;
mod error;
mod liveness;
mod served;
mod state;

pub use builder::Builder;
pub use client::{Client, Connect};
pub use error::ConnectFailed;
pub use liveness::Liveness;
pub use state::{Arrival, State};
