//! What tests of several crates share.

#[cfg(feature = "browser")]
pub mod browser;
