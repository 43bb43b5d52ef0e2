#[bowline::message]
#[serde(remote = "std::time::Instant")]
struct Instant { seconds: u64 }

fn main() {}
