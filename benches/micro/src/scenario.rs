use std::fmt;
use std::hint::black_box;

/// Why a measurement can't go on.
pub type Result<T, E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

/// Does so many operations, each the same as the last.
pub type Work = Box<dyn FnMut(u64) -> Result<()>>;

/// One thing that is measured.
#[derive(Clone, Copy)]
pub struct Scenario {
    /// `subject/what`: what reports, the baseline and criterion call it.
    pub name: &'static str,
    /// What one operation is, in words that follow "per".
    pub per: &'static str,
    /// How many operations come before those that are counted: tables have grown and links count as fast by then.
    pub warm_up: u64,
    /// How many are counted. Enough that what happens once in a while (an acknowledgement, a table that grows) is spread.
    pub operations: u64,
    /// Whether instructions are counted. The others are told from each other by their times alone.
    pub counted: bool,
    /// Sets the stage.
    pub make: fn() -> Result<Work>,
}

impl Scenario {
    /// One whose instructions are counted.
    pub(crate) const fn counted(
        name: &'static str,
        per: &'static str,
        (warm_up, operations): (u64, u64),
        make: fn() -> Result<Work>,
    ) -> Self {
        Self { name, per, warm_up, operations, counted: true, make }
    }

    /// One that is only timed.
    pub(crate) const fn timed(name: &'static str, per: &'static str, make: fn() -> Result<Work>) -> Self {
        Self { name, per, warm_up: 1, operations: 1, counted: false, make }
    }
}

impl fmt::Debug for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scenario").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Does the operations that count.
///
/// Callgrind collects from the entry of this function to its return, by its name. So it is never inlined, and its call of
/// the work is not the last thing it does, since a jump would look like its return.
///
/// # Errors
///
/// Those of the work.
#[inline(never)]
pub fn measured_part(work: &mut Work, operations: u64) -> Result<()> {
    let result = work(operations);
    black_box(&result);
    result
}
