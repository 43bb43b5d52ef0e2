//! `once` calls at their callee: each runs once, however often it is asked for, and to its end.

mod bell;
mod claim;
mod handler;
mod store;

pub use store::OnceStore;

pub(crate) use bell::Bell;
pub(crate) use claim::{Claim, Run};
pub(crate) use handler::OnceFuture;
pub(crate) use store::{Admission, Asked};
