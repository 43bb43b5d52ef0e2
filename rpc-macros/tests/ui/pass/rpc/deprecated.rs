//! A deprecated method warns its callers, not what is made of it.

#![deny(warnings)]

use bowline::prelude::*;

#[bowline::rpc]
pub trait Chat {
    #[deprecated = "use `post`"]
    async fn say(&self, text: String) -> u64;

    #[deprecated]
    fn messages(&self) -> impl Stream<Item = u64>;
}

async fn calls(chat: ChatClient) {
    #[expect(deprecated)]
    let _ = chat.say(String::new()).await;
    #[expect(deprecated)]
    let _ = chat.messages().await;
}

fn main() {
    let _ = calls;
}
