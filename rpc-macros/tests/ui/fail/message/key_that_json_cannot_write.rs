#[bowline::message]
#[derive(PartialEq, Eq, Hash)]
#[rkyv(derive(PartialEq, Eq, Hash))]
struct Point { x: i32, y: i32 }

#[bowline::message]
struct Map { tiles: std::collections::HashMap<Point, u8> }

const _: u128 = <Map as bowline::__private::Schema>::HASH;

fn main() {}
