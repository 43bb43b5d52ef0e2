//! Peers that break the rules: each mistake has its close code or its call's error, and nothing else suffers.

mod calls;
#[path = "../common/mod.rs"]
mod common;
mod greeting;
mod hand;
mod payloads;
