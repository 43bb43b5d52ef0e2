#[bowline::message(crate = ::bowline, crate = ::bowline)]
struct Page { id: u64 }

fn main() {}
