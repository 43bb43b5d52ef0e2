//! What is measured, and how: the processor's time, and medians of interleaved rounds.

mod cores;
mod cpu;
mod progress;
mod rounds;
mod setting;
mod spread;
mod stage;
mod took;

pub use cores::Cores;
pub use cpu::Cpu;
pub use progress::Progress;
pub use rounds::{Contender, Cost, Row, interleave, order};
pub use setting::{Effort, Setting};
pub use spread::Spread;
pub use stage::Stage;
pub use took::Took;
