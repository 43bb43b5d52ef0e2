//! A trait that is not compiled leaves nothing behind.

#![deny(warnings)]

#[bowline::rpc]
#[cfg(any())]
pub trait Chat {
    async fn post(&self, text: Absent) -> Result<u64, Absent>;
}

fn main() {}
