use bowline::prelude::*;

#[bowline::rpc]
trait Chat {
    async fn post(&self, #[serde(default)] cx: &Context) -> u64;
}

fn main() {}
