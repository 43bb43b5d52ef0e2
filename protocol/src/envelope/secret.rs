use std::fmt;

use bytes::Bytes;

/// Bytes that no log may show: credentials and resume tokens. `Debug` gives their length alone.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(Bytes);

impl Secret {
    /// The bytes.
    pub fn expose(&self) -> &Bytes {
        &self.0
    }

    /// The bytes, without another count on them.
    pub fn into_inner(self) -> Bytes {
        self.0
    }

    /// How many bytes there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<B: Into<Bytes>> From<B> for Secret {
    fn from(bytes: B) -> Self {
        Self(bytes.into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_holds_no_secret() {
        let secret = Secret::from("hunter2".as_bytes());
        assert_eq!(format!("{secret:?}"), "Secret(7 bytes)");
        assert_eq!(secret.expose(), "hunter2");
    }
}
