use bowline_protocol::schema::ServiceDescriptor;
use bytes::Bytes;

/// What a call asks: method and encoded arguments. Equal keys ask the same.
///
/// Made without asking anything of the arguments' types, so that a cache needs no `PartialEq` or `Hash` of them.
/// Arguments that hold hash maps or sets may give different keys for equal values.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CallKey {
    service: &'static str,
    method: &'static str,
    arguments: Bytes,
}

impl CallKey {
    pub(crate) fn new(service: &'static ServiceDescriptor, method: usize, arguments: Bytes) -> Self {
        Self { service: service.name, method: service.methods[method].name, arguments }
    }

    /// The name of the trait.
    pub fn service(&self) -> &'static str {
        self.service
    }

    /// The name of the method.
    pub fn method(&self) -> &'static str {
        self.method
    }
}
