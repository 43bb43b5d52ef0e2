#[bowline::message]
enum Change { Added, #[serde(skip)] Removed }

fn main() {}
