//! The attributes `#[rpc]` and `#[message]` of Bowline: parse, validate, expand.
//!
//! Applications use them through the `bowline` crate. What they expand to is short and names only
//! `::bowline::__private`; the logic lives in `bowline-rpc`, where it has ordinary tests.

use proc_macro::TokenStream;

mod ast;
mod attr;
mod client;
mod diag;
mod fallback;
mod leptos;
mod rpc;
mod server;
mod service;

/// Makes a service of a trait: what the server implements, what clients call.
///
/// For a trait `Chat` this makes `ChatServer<S>`, which serves an implementation `S` of `Chat`, and `ChatClient`, which
/// has a method of the same name and arguments for each of the trait's methods. With the feature `leptos` the client also
/// has each method as a query, an action or a signal, as fits its kind.
///
/// # Methods
///
/// | In the trait | Kind of call |
/// | --- | --- |
/// | `async fn history(&self, room: String) -> Vec<Message>` | one request, one response |
/// | `async fn post(&self, text: String) -> Result<u64, PostError>` | the same, with an error of its own |
/// | `fn messages(&self) -> impl Stream<Item = Message>` | a stream of items |
/// | `async fn messages(&self) -> Result<impl Stream<Item = Message>, ChatError>` | the same, if it may refuse |
/// | `async fn upload(&self, chunks: Streaming<Chunk>) -> u64` | a stream from the client, one response |
/// | `fn draw(&self, strokes: Streaming<Stroke>) -> impl Stream<Item = Stroke>` | streams both ways |
/// | `#[rpc(watch)] fn members(&self) -> impl Stream<Item = Vec<Member>>` | a stream of which only the newest item matters |
/// | `#[rpc(notify)] async fn typing(&self)` | one way, at most once, no response |
///
/// Whether a method returns a `Result` is asked of its type, so an alias of `Result` works.
///
/// Arguments are named fields on the wire: renaming one changes what travels, moving one does not matter where ends differ.
/// `#[serde(default)]` on an argument lets older clients leave it out. An argument `frame: View<Frame>` is read in place;
/// clients pass a `Frame`. A first argument `cx: &Context` (under any name) tells who calls; clients never see it.
///
/// Implementors write `async fn` and `-> impl Stream<Item = T>`, also where they box inside: returning `BoxStream` compiles,
/// but the compiler warns that it promises more than the trait.
///
/// # Arguments of the attribute
///
/// On the trait:
///
/// - `crate = path`: where Bowline is, if not at `::bowline`.
///
/// On a method, as `#[rpc(..)]`:
///
/// - `watch`, `notify`: see the table.
/// - `deadline = "2s"`: how long a call may take unless its caller says otherwise; a whole number of `ms`, `s`, `m` or `h`.
///   For a stream: until it is accepted.
/// - `lag = "close"`, `"latest"` or `"drop_oldest"`: what a stream over a source that can't wait does with a slow reader.
///   Default: `"close"`, since losing items unasked would be worse.
///
/// `#[cfg]`, `#[deprecated]` and docs on a method reach everything that is made of it.
///
/// # Errors
///
/// What a trait can't be is reported by the compiler where it stands, all mistakes at once: generic, with supertraits or
/// anything but methods; methods that are generic, have a default body, take anything but `&self`, borrow an argument or
/// name one by a pattern.
#[proc_macro_attribute]
pub fn rpc(args: TokenStream, item: TokenStream) -> TokenStream {
    rpc::expand(args.into(), item.into()).into()
}
