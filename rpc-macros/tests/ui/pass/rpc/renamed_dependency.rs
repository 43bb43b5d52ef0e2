//! Bowline under another name.

#![deny(warnings)]

extern crate bowline as bl;

mod protocol {
    use bl::prelude::Stream;

    #[bl::message(crate = bl)]
    pub struct Frame {
        pub width: u32,
    }

    #[bl::rpc(crate = bl)]
    pub trait Chat {
        #[rpc(deadline = "1m")]
        async fn post(&self, frame: Frame) -> u64;

        #[bl::rpc(watch)]
        fn members(&self) -> impl Stream<Item = Frame>;
    }
}

fn main() {
    let _ = protocol::ChatServer::<()>::new;
}
