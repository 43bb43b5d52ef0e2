#[bowline::message]
union Both { a: u8, b: u16 }

fn main() {}
