#[bowline::message]
struct Id(#[message(skip)] u64);

fn main() {}
