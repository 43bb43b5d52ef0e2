//! Nothing that the prelude brings is taken for granted.

#![deny(warnings)]
#![no_implicit_prelude]

use ::bowline::prelude::{Stream, Streaming, View};
use ::std::result::Result;
use ::std::string::String;

#[::bowline::message]
pub struct Frame {
    pub pixels: ::std::vec::Vec<u8>,
}

#[::bowline::rpc]
pub trait Chat {
    async fn post(&self, text: String) -> Result<u64, String>;

    async fn light(&self, frame: View<Frame>, scale: u32) -> u64;

    async fn messages(&self) -> Result<impl Stream<Item = String>, String>;

    fn draw(&self, strokes: Streaming<u64>) -> impl Stream<Item = u64>;

    #[rpc(notify)]
    async fn typing(&self);
}

fn main() {}
