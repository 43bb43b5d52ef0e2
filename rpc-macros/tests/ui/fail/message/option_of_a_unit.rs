#[bowline::message]
struct Unit;

#[bowline::message]
struct Patch { unit: Option<Unit> }

const _: u128 = <Patch as bowline::__private::Schema>::HASH;

fn main() {}
