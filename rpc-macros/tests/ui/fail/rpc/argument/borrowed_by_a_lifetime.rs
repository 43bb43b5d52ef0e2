#[bowline::rpc]
trait Chat {
    async fn post(&self, text: std::borrow::Cow<'static, str>) -> u64;
}

fn main() {}
