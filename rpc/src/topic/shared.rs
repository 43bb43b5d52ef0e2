use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bowline_protocol::codec::{Codec, EncodeError, Payload};
use bytes::Bytes;

/// One value for many readers, encoded once per codec for all of them. Cheap to clone.
///
/// A stream method whose items come from a [`Topic`](crate::Topic) names `Shared<Message>` as its item; readers get
/// `Message`.
pub struct Shared<T>(Arc<Inner<T>>);

struct Inner<T> {
    value: T,
    rkyv: OnceLock<Bytes>,
    json: OnceLock<Bytes>,
    encoding: Mutex<()>,
}

impl<T> Shared<T> {
    /// Makes a shared value.
    pub fn new(value: T) -> Self {
        let (rkyv, json) = (OnceLock::new(), OnceLock::new());
        Self(Arc::new(Inner { value, rkyv, json, encoding: Mutex::new(()) }))
    }
}

impl<T: Payload> Shared<T> {
    /// The encoded value; whoever asks first encodes it.
    pub(crate) fn encoded(&self, codec: Codec) -> Result<&Bytes, EncodeError> {
        let Inner { value, rkyv, json, encoding } = &*self.0;
        let place = match codec {
            Codec::Rkyv => rkyv,
            Codec::Json => json,
        };
        if let Some(bytes) = place.get() {
            return Ok(bytes);
        }
        // Held while encoding, so that two readers at once don't both do it.
        let _encoding = encoding.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bytes) = place.get() {
            return Ok(bytes);
        }
        let mut bytes = Vec::new();
        value.encode(codec, &mut bytes)?;
        Ok(place.get_or_init(|| bytes.into()))
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
