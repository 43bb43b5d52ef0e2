#[bowline::message]
enum Nothing {}

fn main() {}
