#[bowline::message]
struct Folder { entries: Vec<Entry> }

#[bowline::message]
struct Entry { folder: Option<Box<Folder>> }

const _: u128 = <Folder as bowline::__private::Schema>::HASH;

fn main() {}
