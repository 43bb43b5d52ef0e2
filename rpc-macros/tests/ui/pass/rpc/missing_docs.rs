//! Everything that others can see is documented.

#![deny(missing_docs, missing_debug_implementations, unreachable_pub, warnings)]

use bowline::prelude::*;

pub mod protocol {
    //! What both ends agree on.

    use super::*;

    /// A chat.
    #[bowline::rpc]
    pub trait Chat {
        /// Posts.
        async fn post(&self, text: String) -> u64;

        /// Draws.
        fn draw(&self, strokes: Streaming<u64>) -> impl Stream<Item = u64>;
    }
}

mod hidden {
    #[bowline::rpc]
    pub(crate) trait Inner {
        async fn ping(&self);
    }

    #[bowline::rpc]
    trait Innermost {
        async fn ping(&self);
    }
}

fn main() {
    let _ = hidden::InnerServer::<()>::new;
}
