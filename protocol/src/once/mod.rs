//! The table that makes `once` calls run once: what started, and what it ended with.
//!
//! A call of a method declared `once` carries a key of 128 random bits. The callee asks its [`Table`] before it runs
//! anything: a key that it knows is answered with what the first run ends with, and a key that it may have forgotten is
//! refused with [`Code::OutcomeUnknown`](crate::status::Code::OutcomeUnknown). One table serves all sessions of a node,
//! so that a repeat on another session, after the first was lost, finds what the first call did.

mod limits;
mod order;
mod table;

pub use limits::OnceLimits;
pub use table::{Begin, OnceStats, Record, Scope, Table, Ticket};
