//! A message that happens to be called `Result`, and others with names that we use.

#![deny(warnings)]

use bowline::prelude::*;

#[bowline::message]
pub struct Result {
    pub points: u64,
}

#[bowline::message]
pub struct Option {
    pub text: String,
}

#[bowline::message]
pub struct Call {
    pub from: String,
}

#[bowline::message]
pub struct S {
    pub chosen: Option,
}

#[bowline::message]
pub struct Output {
    pub lines: Vec<String>,
}

#[bowline::rpc]
pub trait Game {
    async fn play(&self, chosen: Option, call: Call) -> Result;

    async fn print(&self, s: S) -> Output;

    fn results(&self, items: Streaming<S>) -> impl Stream<Item = Result>;
}

async fn plays(game: GameClient) {
    let Ok(Result { points: _ }) = game.play(Option { text: String::new() }, Call { from: String::new() }).await else {
        return;
    };
}

fn main() {
    let _ = plays;
}
