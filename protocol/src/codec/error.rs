use std::error::Error;

use super::MAX_DEPTH;

/// Why a value could not be encoded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// JSON has no form for an infinite number or for one that is not a number.
    #[error("JSON has no form for a number that is not finite")]
    NotFinite,
    /// The other end would refuse a value that nests this deep.
    #[error("the value nests deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// A field's `Serialize` failed, or a map has keys that JSON can't write.
    #[error("the value can't be written as JSON")]
    Json(#[source] serde_json::Error),
    /// A field's conversion failed, or memory ran out.
    #[error("the value can't be archived")]
    Archive(#[source] Box<dyn Error + Send + Sync>),
    /// The archive that was to become JSON is not a valid one.
    #[error("the archive can't be read back to make JSON of it")]
    Recode(#[source] Box<DecodePayloadError>),
}

/// Why received bytes are not the value they should be.
///
/// The causes are for logs at the receiver; they don't belong into answers to the peer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodePayloadError {
    /// The archive failed validation, or a check of one of its types refused it.
    #[error("the payload is not a valid archive of its type")]
    Archive(#[source] Box<dyn Error + Send + Sync>),
    /// The text is not JSON, lacks a field, or a check of one of its types refused it.
    #[error("the payload is not valid JSON of its type")]
    Json(#[source] serde_json::Error),
}

impl DecodePayloadError {
    pub(super) fn archive(error: rkyv::rancor::Error) -> Self {
        Self::Archive(Box::new(error))
    }
}

impl EncodeError {
    pub(super) fn archive(error: rkyv::rancor::Error) -> Self {
        Self::Archive(Box::new(error))
    }
}
