//! Two services beside each other, one inside a function, one that asks nothing.

#![deny(warnings)]

mod both {
    #[bowline::rpc]
    pub trait Chat {
        async fn post(&self, a_b: u64) -> u64;
    }

    #[bowline::rpc]
    pub trait ChatPost {
        async fn args(&self, text: String) -> u64;

        async fn post(&self, text: String) -> u64;
    }

    #[bowline::rpc]
    pub trait Nothing {}
}

fn main() {
    #[bowline::rpc]
    trait Local {
        async fn post(&self, text: String) -> u64;
    }

    struct Here;

    impl Local for Here {
        async fn post(&self, text: String) -> u64 {
            text.len() as u64
        }
    }

    let _ = LocalServer::new(Here);
    let _ = both::NothingServer::<()>::new;
    let _ = LocalClient::post;
}
