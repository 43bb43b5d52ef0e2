//! Bowline beside what people would use instead: the same work, in the same run, in interleaved rounds.
//!
//! `README.md` in this folder says how each peer is driven and what each number means.

pub mod measure;
pub mod peers;
pub mod scenarios;

/// What may go wrong: a sentence.
pub type Error = Box<dyn std::error::Error + Send + Sync>;
/// The result of everything here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The whole program: arguments in, tables out.
pub fn run(_arguments: lexopt::Parser) -> Result<()> {
    let stage = measure::Stage::new()?;
    let peers = peers::all();
    for in_flight in [1, 16, 64, 256] {
        println!("{in_flight} in flight");
        for row in scenarios::calls::run(&stage, &peers, in_flight, 3)? {
            println!("  {:<22} {}", row.peer, row.cost);
        }
    }
    Ok(())
}
