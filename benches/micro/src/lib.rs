//! What one changes daily, measured alone.
//!
//! A [`Scenario`] is made once and run as often as is asked. Three programs run them: `cargo bench -p bench-micro` tells
//! the time of an operation (criterion), the program `counts` runs one of them for callgrind, which counts instructions
//! and repeats exactly, and the program `allocations` counts what each end of a call allocates. `cargo xtask counts`
//! starts the latter two and compares with what is committed. The `README.md` of this folder tells how to read it all.

mod place;
mod scenario;
mod scenarios;
mod service;

pub use place::{Client, Connector, connect, serve};
pub use scenario::{Result, Scenario, Work, measured_part};
pub use scenarios::{all, calls, deliveries, items};
