#[bowline::rpc]
trait Chat {
    async fn count(&self) -> Result<Vec<isize>, String>;
}

fn main() {}
