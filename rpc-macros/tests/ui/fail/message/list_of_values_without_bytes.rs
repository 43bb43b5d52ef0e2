#[bowline::message]
struct Unit;

#[bowline::message]
struct Many { units: Vec<Unit> }

const _: u128 = <Many as bowline::__private::Schema>::HASH;

fn main() {}
