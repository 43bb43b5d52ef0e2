use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use bowline_protocol::codec::{Codec, EncodeError, Payload};
use bytes::Bytes;

/// One value for many readers, encoded once per codec for all of them. Cheap to clone.
///
/// A stream method whose items come from a [`Topic`](crate::Topic) names `Shared<Message>` as its item; readers get
/// `Message`.
pub struct Shared<T>(Arc<Inner<T>>);

struct Inner<T> {
    value: T,
    encoded: Mutex<Encoded>,
}

#[derive(Default)]
struct Encoded {
    rkyv: Option<Bytes>,
    json: Option<Bytes>,
}

impl<T> Shared<T> {
    /// Makes a shared value.
    pub fn new(value: T) -> Self {
        Self(Arc::new(Inner { value, encoded: Mutex::default() }))
    }
}

impl<T: Payload> Shared<T> {
    /// The encoded value; whoever asks first encodes it.
    pub(crate) fn encoded(&self, codec: Codec) -> Result<Bytes, EncodeError> {
        // Held while encoding, so that two readers at once don't both do it.
        let mut encoded = self.0.encoded.lock().unwrap_or_else(PoisonError::into_inner);
        let place = match codec {
            Codec::Rkyv => &mut encoded.rkyv,
            Codec::Json => &mut encoded.json,
        };
        if let Some(bytes) = place {
            return Ok(bytes.clone());
        }
        let mut bytes = Vec::new();
        self.0.value.encode(codec, &mut bytes)?;
        Ok(place.insert(bytes.into()).clone())
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.value
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> From<T> for Shared<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl<T: fmt::Debug> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Shared").field(&**self).finish()
    }
}
