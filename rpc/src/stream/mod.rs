mod again;
mod cursor;
mod decode;
mod hooks;
mod item;
mod pump;
mod sink;
mod streaming;
mod upload;

pub use hooks::StreamEnd;
pub use item::{Encoded, Item, Items, StreamOutput};
pub use sink::Sink;
pub use streaming::Streaming;
pub use upload::Upload;

pub(crate) use again::{Again, Start};
pub use cursor::Place;
pub(crate) use cursor::{Cursor, FieldCursor, ViewCursor};
pub(crate) use decode::Decode;
pub(crate) use hooks::Hooks;
pub(crate) use sink::{Accepting, Body, BodyEnd, Stage};
