//! What is measured, and how: the processor's time, and medians of interleaved rounds.

mod cpu;
mod rounds;
mod spread;
mod stage;

pub use cpu::Cpu;
pub use rounds::{Contender, Cost, Row, interleave};
pub use spread::Spread;
pub use stage::Stage;
