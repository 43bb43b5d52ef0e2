use std::fmt;
use std::hash::{Hash, Hasher};

use bowline_protocol::schema::ServiceDescriptor;
use bytes::Bytes;

/// What a call asks: method and encoded arguments. Equal keys ask the same.
///
/// Made without asking anything of the arguments' types, so that a cache needs no `PartialEq` or `Hash` of them.
/// Arguments that hold hash maps or sets may give different keys for equal values.
#[derive(Clone)]
pub struct CallKey {
    service: &'static ServiceDescriptor,
    method: usize,
    arguments: Bytes,
}

impl CallKey {
    pub(crate) fn new(service: &'static ServiceDescriptor, method: usize, arguments: Bytes) -> Self {
        Self { service, method, arguments }
    }

    /// The name of the trait.
    pub fn service(&self) -> &'static str {
        self.service.name
    }

    /// The name of the method.
    pub fn method(&self) -> &'static str {
        self.service.methods[self.method].name
    }

    fn parts(&self) -> (&'static str, &'static str, &Bytes) {
        (self.service(), self.method(), &self.arguments)
    }
}

impl PartialEq for CallKey {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for CallKey {}

impl Hash for CallKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.parts().hash(state);
    }
}

impl fmt::Debug for CallKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (service, method, arguments) = self.parts();
        f.debug_struct("CallKey")
            .field("service", &service)
            .field("method", &method)
            .field("arguments", arguments)
            .finish()
    }
}
