//! Two peers back to back in memory: every kind of call from stub to handler and back.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod bounds;
mod calls;
mod cancel;
mod clock;
mod driven;
mod driving;
mod fallback;
mod identity;
mod layers;
mod line;
mod once;
mod resubscribe;
mod retry;
mod streams;
mod support;
mod topic;
