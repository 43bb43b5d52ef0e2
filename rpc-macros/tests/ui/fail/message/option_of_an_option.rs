#[bowline::message]
struct Patch { name: Option<Option<String>> }

const _: u128 = <Patch as bowline::__private::Schema>::HASH;

fn main() {}
