struct Wrapper;

struct Foreign;

#[bowline::message]
struct Page { #[message(with = Wrapper, schema = "foreign/1")] foreign: Foreign }

fn main() {}
