//! Two peers back to back in memory: every kind of call from stub to handler and back.

mod calls;
mod cancel;
mod layers;
mod streams;
mod support;
mod topic;
