use bowline_protocol::codec::{Buffer, Codec, DecodePayloadError, Payload, View, ViewPayload};

/// How a stream's items and error become values; function pointers, so that the stream's type names no bounds.
pub(crate) struct Decode<T, E> {
    pub(crate) item: fn(Codec, Buffer) -> Result<T, DecodePayloadError>,
    /// Of a batch: aligned, and not to be kept.
    pub(crate) small: fn(Codec, &[u8]) -> Result<T, DecodePayloadError>,
    pub(crate) error: fn(Codec, &[u8]) -> Result<E, DecodePayloadError>,
}

impl<T: Payload, E: Payload> Decode<T, E> {
    pub(crate) fn owned() -> Self {
        Self { item: |codec, buffer| T::decode(codec, &buffer), small: T::decode, error: E::decode }
    }
}

impl<T: ViewPayload, E: Payload> Decode<View<T>, E> {
    pub(crate) fn view() -> Self {
        let small = |codec, item: &[u8]| View::decode(codec, Buffer::aligned(item));
        Self { item: View::decode, small, error: E::decode }
    }
}

impl<T, E> Clone for Decode<T, E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T, E> Copy for Decode<T, E> {}
