//! Descriptors as the wire has them.

use super::{Hasher, MethodKind, Retry, ServiceDescriptor};

impl ServiceDescriptor {
    /// Returns one digest over the service's name and its methods' names, kinds, retry classes and type hashes.
    ///
    /// Ends with equal digests number methods by their place and speak rkyv without asking further. Deadlines and
    /// lag policies are each end's own affair and not part of it.
    #[must_use]
    pub const fn digest(&self) -> u128 {
        let mut hasher = Hasher::new("service").str(self.name).number(self.methods.len() as u64);
        let mut at = 0;
        while at < self.methods.len() {
            let method = &self.methods[at];
            hasher = hasher
                .str(method.name)
                .number(method.kind.to_wire() as u64)
                .number(method.retry.to_wire() as u64)
                .hash(method.hash);
            at += 1;
        }
        hasher.finish()
    }
}

impl MethodKind {
    /// Returns the kind's number on the wire.
    #[must_use]
    pub const fn to_wire(self) -> u8 {
        match self {
            Self::Unary => 0,
            Self::ServerStream => 1,
            Self::ClientStream => 2,
            Self::Bidirectional => 3,
            Self::Notify => 4,
            Self::Watch => 5,
        }
    }

    /// Returns the kind that has this number.
    #[must_use]
    pub const fn from_wire(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::Unary,
            1 => Self::ServerStream,
            2 => Self::ClientStream,
            3 => Self::Bidirectional,
            4 => Self::Notify,
            5 => Self::Watch,
            _ => return None,
        })
    }
}

impl Retry {
    /// Returns the retry class's number on the wire.
    #[must_use]
    pub const fn to_wire(self) -> u8 {
        match self {
            Self::Never => 0,
            Self::Idempotent => 1,
            Self::Once => 2,
        }
    }

    /// Returns the retry class that has this number.
    #[must_use]
    pub const fn from_wire(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Never),
            1 => Some(Self::Idempotent),
            2 => Some(Self::Once),
            _ => None,
        }
    }

    /// Returns the class of a call where its caller says `self` and its callee `callee`.
    ///
    /// | caller \ callee | never | idempotent | once |
    /// |---|---|---|---|
    /// | **never** | never | never | never |
    /// | **idempotent** | never | idempotent | once |
    /// | **once** | never | idempotent | once |
    ///
    /// A caller that may ask again does it in the way that the callee says: the one to whom running twice makes no
    /// difference needs no key, and the other gets one, which costs the caller nothing but to make it. A number from the
    /// wire that nobody knows counts as [`Never`](Self::Never).
    #[must_use]
    pub const fn with_callee(self, callee: Self) -> Self {
        match self {
            Self::Never => Self::Never,
            Self::Idempotent | Self::Once => callee,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Lag, MethodDescriptor};
    use super::*;

    const METHOD: MethodDescriptor = MethodDescriptor {
        name: "post",
        kind: MethodKind::Unary,
        retry: Retry::Never,
        hash: 7,
        deadline: None,
        lag: Lag::Close,
    };

    fn digest(method: MethodDescriptor) -> u128 {
        let methods = Box::leak(Box::new([method]));
        ServiceDescriptor { name: "Chat", methods }.digest()
    }

    #[test]
    fn kinds_and_retry_classes_survive_the_wire() {
        for number in 0..=u8::MAX {
            assert!(MethodKind::from_wire(number).is_none_or(|kind| kind.to_wire() == number));
            assert!(Retry::from_wire(number).is_none_or(|retry| retry.to_wire() == number));
        }
        assert_eq!((0..=u8::MAX).filter_map(MethodKind::from_wire).count(), 6);
        assert_eq!((0..=u8::MAX).filter_map(Retry::from_wire).count(), 3);
    }

    #[test]
    fn digest_changes_with_what_crosses_the_wire() {
        let base = digest(METHOD);
        assert_ne!(base, digest(MethodDescriptor { name: "past", ..METHOD }));
        assert_ne!(base, digest(MethodDescriptor { kind: MethodKind::Watch, ..METHOD }));
        assert_ne!(base, digest(MethodDescriptor { retry: Retry::Idempotent, ..METHOD }));
        assert_ne!(base, digest(MethodDescriptor { hash: 8, ..METHOD }));
        assert_ne!(base, ServiceDescriptor { name: "Chut", methods: Box::leak(Box::new([METHOD])) }.digest());
        assert_ne!(base, ServiceDescriptor { name: "Chat", methods: &[METHOD, METHOD] }.digest());
    }

    #[test]
    fn digest_ignores_each_ends_own_policies() {
        let deadline = Some(std::time::Duration::from_secs(1));
        assert_eq!(digest(METHOD), digest(MethodDescriptor { deadline, lag: Lag::Latest, ..METHOD }));
    }

    #[test]
    fn digest_is_known_at_compile_time() {
        const SERVICE: ServiceDescriptor = ServiceDescriptor { name: "Chat", methods: &[METHOD] };
        const DIGEST: u128 = SERVICE.digest();
        assert_eq!(DIGEST, digest(METHOD));
    }
}
