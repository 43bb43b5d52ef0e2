struct Author { name: String }

#[bowline::message]
struct Page { id: u64, authors: Vec<Author> }

fn main() {}
