//! Status codes of calls and close codes of links: the one table of each.

mod close;
mod code;

pub use close::CloseCode;
pub use code::{Code, Delivery, Status};
