#[bowline::rpc]
struct Chat {
    messages: Vec<String>,
}

fn main() {}
