#[bowline::message]
struct Page { counts: Vec<(String, isize)> }

fn main() {}
