struct Author { name: String }

#[bowline::message]
struct Page { id: u64, author: Author }

fn main() {}
