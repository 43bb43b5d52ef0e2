#[bowline::message]
enum Change { Added, #[message(skip)] Removed }

fn main() {}
