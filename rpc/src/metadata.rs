use std::fmt;

/// Names and values beside the arguments of a call, such as a trace context.
///
/// A short list in the order of insertion; names are compared byte by byte, so write them in lower case. The limits
/// of the other end apply (64 entries, 8 KiB by default): more fails the call.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Metadata(Option<Box<Entries>>);

/// Never empty. Apart, since most calls have none, and all are moved.
type Entries = Vec<(String, String)>;

impl Metadata {
    /// Makes an empty list.
    pub const fn new() -> Self {
        Self(None)
    }

    /// Returns the first value under `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|entry| entry.0 == name).map(|entry| entry.1)
    }

    /// Puts `value` under `name` instead of what was there.
    pub fn insert(&mut self, name: impl Into<String>, value: impl Into<String>) {
        let name = name.into();
        self.remove(&name);
        self.0.get_or_insert_default().push((name, value.into()));
    }

    /// Takes everything under `name` out.
    pub fn remove(&mut self, name: &str) {
        if let Some(entries) = &mut self.0 {
            entries.retain(|entry| entry.0 != name);
            if entries.is_empty() {
                self.0 = None;
            }
        }
    }

    /// Goes through the entries in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().flat_map(|entries| entries.iter()).map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |entries| entries.len())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    #[inline]
    pub(crate) fn from_wire(entries: Vec<(String, String)>) -> Self {
        Self((!entries.is_empty()).then(|| Box::new(entries)))
    }

    #[inline]
    pub(crate) fn into_wire(self) -> Vec<(String, String)> {
        self.0.map_or_else(Vec::new, |entries| *entries)
    }
}

// Values may be credentials: only the names show.
impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(|entry| entry.0)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn insert_replaces_and_debug_hides_values() {
        let mut metadata = Metadata::new();
        metadata.insert("authorization", "old");
        metadata.insert("traceparent", "00-1");
        metadata.insert("authorization", "secret");
        assert_eq!(metadata.get("authorization"), Some("secret"));
        assert_eq!(metadata.len(), 2);
        assert!(!format!("{metadata:?}").contains("secret"));
        metadata.remove("authorization");
        assert_eq!(metadata.get("authorization"), None);
        assert_eq!(metadata.iter().collect::<Vec<_>>(), [("traceparent", "00-1")]);
        metadata.remove("traceparent");
        assert!(metadata.is_empty() && metadata == Metadata::from_wire(Vec::new()));
        assert_eq!((metadata.len(), metadata.into_wire()), (0, Vec::new()));
    }
}
