//! This program once more, beside itself: a server whose memory is looked at, a client whose system calls are counted.
//!
//! The other process is told what to be in its arguments, says one line when it is ready, answers lines with lines, and
//! ends when its input does. So it ends with whoever started it, however that ended.

mod child;
mod memory;
mod roles;

pub use child::Child;
pub use memory::{anonymous, standing_still};
pub use roles::play;
pub(crate) use roles::{answer, say};

/// The first argument of a process that is to play a role; what follows says which.
pub const ROLE: &str = "apart";
