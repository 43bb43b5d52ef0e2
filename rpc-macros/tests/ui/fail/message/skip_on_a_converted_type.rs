#[bowline::message(try_from = String)]
struct Email(#[message(skip)] String);

fn main() {}
