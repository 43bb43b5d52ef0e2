struct Local;

#[bowline::message]
struct Page { id: u64, #[message(skip)] local: Local }

fn main() {}
