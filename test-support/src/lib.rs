//! What tests of several crates share.

#[cfg(feature = "browser")]
pub mod browser;
mod pair;
mod random;

pub use pair::{End, Pair, Side, Weather, origin};
pub use random::Random;
