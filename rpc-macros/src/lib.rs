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
mod message;
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
/// A stream from the server that is lost with its session subscribes again by itself; so does a watch.
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
/// - `idempotent`, on a method of one request and one response: it makes no difference whether the handler runs once or
///   more often, so the call may be sent again when it is not known whether it ran, or when the other end was not
///   available.
/// - `once`, on the same: the handler must not run twice. The call may be sent again all the same, since a repeat gets the
///   recorded answer of the first run; a handler that has started runs to its end. Without either of the two a call whose
///   outcome is not known ends with an error that says so. Where the two ends were built with different classes, the
///   caller's says whether its calls may be sent again, and the callee's how: `once` holds for callers that were built when
///   the method was `idempotent`, too.
/// - `resume = "after: id"`, on a stream from the server: the argument `after`, an `Option<T>`, says where the stream starts,
///   and the field `id` of an item, a `T`, what to set it to in order to go on behind that item. A client's stream that
///   is lost then goes on without a gap; without `resume` it starts anew and says that items may be missing. The handler
///   answers `Some(after)` with every item behind it, in the same order each time. An item that is a tuple has fields `0`,
///   `1` and so on.
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

/// Makes a type cross the wire: its values in both codecs, its structure as a hash that ends compare.
///
/// It derives what rkyv and serde need, through the facade, so that applications depend on neither. Structs and enums of
/// any form work, generic ones as well. A type that contains itself is recognised by its own name; where the circle goes
/// through another type, put `#[message(recursive)]` on one field of it. The type's docs, derives and other attributes stay
/// as they are.
///
/// # Arguments of the attribute
///
/// - `crate = path`: where Bowline is, if not at `::bowline`.
/// - `try_from = Wire`: a `Wire` crosses the wire in place of the type, which needs `From<&Type> for Wire` and
///   `TryFrom<Wire> for Type`, whose error is shown. The check runs in both codecs, also before a `View` is handed out.
///
/// On a field, as `#[message(..)]`:
///
/// - `skip`: the field is in the bytes of neither codec; the reader gets its `Default`.
/// - `recursive`: the field closes a circle of types that goes through other types.
/// - `with = Type, schema = "name/1"`: `Type` implements `With<FieldType>` and says what is written. The number is raised when
///   the meaning of that changes.
///
/// # Fields of foreign types
///
/// `uuid::Uuid`, `chrono::DateTime<Utc>`, `NaiveDateTime`, `NaiveDate`, `NaiveTime` and `serde_json::Value` work with Bowline's
/// features `uuid`, `chrono` and `json`, by themselves and in `Option`, `Vec`, arrays, `HashMap` and `BTreeMap`. They are known
/// by their spelling: write `serde_json::Value` with its crate, and no alias. Any other type needs `with`.
///
/// # serde's attributes
///
/// `default`, `rename`, `rename_all`, `alias`, `flatten`, `tag` and the like bend JSON only, as they should: they are how ends of
/// different versions go on understanding each other. Those that rkyv would have to follow are errors that name ours:
/// `skip*`, `with`, `serialize_with`, `deserialize_with`, `from`, `try_from`, `into`, `remote`, `untagged`.
///
/// # Errors
///
/// All mistakes are reported at once, where they stand: lifetimes, references, `usize` (it differs between machines), and what
/// is said above. Three more are found when the hash is computed, because both codecs have to mean the same: an `Option` of
/// something that may itself be `null` in JSON, a map whose keys JSON can't write, and a list of values that take no bytes.
#[proc_macro_attribute]
pub fn message(args: TokenStream, item: TokenStream) -> TokenStream {
    message::expand(args.into(), item.into()).into()
}
