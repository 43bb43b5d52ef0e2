#[bowline::message]
struct Page { #[rkyv(with = rkyv::with::Inline)] id: u64 }

fn main() {}
