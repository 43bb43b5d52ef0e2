#[bowline::rpc]
trait Chat {
    fn post(&self, text: String);
}

fn main() {}
