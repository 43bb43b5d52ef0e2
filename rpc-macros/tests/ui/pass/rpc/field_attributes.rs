//! What serde is told about an argument, it is told about the field.

#![deny(warnings)]

use bowline::prelude::*;

#[bowline::rpc]
pub trait Chat {
    async fn history(&self, room: String, #[serde(default)] before: Option<u64>) -> Vec<String>;

    async fn post(&self, #[serde(rename = "msg", alias = "message")] text: String) -> u64;

    fn lines(&self, #[serde(default)] view: View<String>) -> impl Stream<Item = u64>;
}

fn main() {}
