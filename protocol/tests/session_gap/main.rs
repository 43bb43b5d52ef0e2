//! A session that can't go on: both ends hear of it, and every call of the client ends in the one way that is true of it.

#![allow(clippy::unwrap_used, reason = "a helper of tests that fails them")]

mod again;
mod callers;
#[path = "../common/mod.rs"]
mod common;
mod refusals;
mod shop;
