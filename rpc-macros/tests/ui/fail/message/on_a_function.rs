#[bowline::message]
fn compute() {}

fn main() {}
