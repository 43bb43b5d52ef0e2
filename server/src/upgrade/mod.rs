//! The HTTP side: which requests become links, and how.

mod origin;
mod request;
mod socket;

pub(crate) use origin::Origins;
pub use origin::{InvalidOrigin, Origin};
pub(crate) use request::{Rejected, check};
pub(crate) use socket::{Socket, take};
