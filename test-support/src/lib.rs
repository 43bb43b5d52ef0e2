//! What tests of several crates share.

#[cfg(feature = "browser")]
pub mod browser;
mod pair;
#[cfg(feature = "relay")]
pub mod process;
mod random;
#[cfg(feature = "relay")]
pub mod relay;

pub use pair::{End, Pair, Side, Weather, origin};
pub use random::Random;

/// Why a test can't go on, as a sentence.
pub type Error = Box<dyn std::error::Error + Send + Sync>;
