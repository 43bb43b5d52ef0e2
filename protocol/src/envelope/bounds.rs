//! How long the parts of an envelope may be. They hold on the wire, whatever an end's own limits say: a reader checks
//! them before it allocates, and a message that breaks one is malformed.

/// A hello, counted from its length field's end: 16 KiB.
pub const MAX_HELLO: usize = 16 * 1024;
/// A welcome, counted likewise: 1 KiB.
pub const MAX_WELCOME: usize = 1024;
/// Versions that a hello lists.
pub const MAX_VERSIONS: usize = 16;
/// Credentials in a hello or an auth envelope: 8 KiB.
pub const MAX_CREDENTIALS: usize = 8 * 1024;
/// A resume token, in bytes.
pub const MAX_TOKEN: usize = 128;
/// Services that a hello declares, and that one end declares in a session.
pub const MAX_SERVICES: usize = 64;
/// Methods that the answer to a declaration lists.
pub const MAX_METHODS: usize = 1024;
/// The list of methods in the answer to a declaration, in bytes: 64 KiB.
pub const MAX_ANSWER: usize = 64 * 1024;
/// Names of services and methods, in bytes.
pub const MAX_NAME: usize = 256;
/// The sentence of a refusal, in bytes. A longer one is cut when it is written.
pub const MAX_REASON: usize = 512;
/// The sentence of a status, in bytes. A longer one is cut when it is written.
pub const MAX_STATUS_MESSAGE: usize = 1024;
/// Entries of metadata of one call.
pub const MAX_METADATA_ENTRIES: usize = 64;
/// Metadata of one call in bytes, names and values together: 8 KiB.
pub const MAX_METADATA: usize = 8 * 1024;
