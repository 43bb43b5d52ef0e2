use bowline_protocol::codec::{Arguments, Payload, View, ViewPayload};
use bowline_protocol::status::{Code, Status};

/// Where a stream goes on that is asked for again.
pub(crate) trait Cursor<T>: Send {
    /// The reader gets `item`.
    fn pass(&mut self, item: &T);

    /// Whether there is a place to go on from.
    fn has_place(&mut self) -> bool;

    /// What asks for the items behind the last one.
    fn behind(&mut self) -> Result<Behind, Status>;
}

/// How to ask for what comes behind a place.
pub(crate) struct Behind {
    pub(crate) arguments: Arguments,
    /// Whether they name a place. Without one the other end decides where it starts, and items may be missing.
    pub(crate) has_place: bool,
}

/// What the argument of a stream that goes on is set to: each type to itself.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`resume` can't set an `Option<{K}>` to a field that is a `{Self}`",
    label = "the argument before the colon and the item's field behind it have different types"
)]
pub trait Place<K> {
    fn place(&self) -> &K;
}

impl<K> Place<K> for K {
    fn place(&self) -> &K {
        self
    }
}

/// Sets one of the arguments to a field of the last item.
pub(crate) struct FieldCursor<A, T, K, F> {
    pub(crate) arguments: A,
    pub(crate) argument: fn(&mut A) -> &mut Option<K>,
    pub(crate) field: fn(&T) -> &F,
}

impl<A: Payload, T, K: Clone, F: Place<K>> Cursor<T> for FieldCursor<A, T, K, F> {
    fn pass(&mut self, item: &T) {
        let place = (self.field)(item).place();
        match (self.argument)(&mut self.arguments) {
            Some(known) => known.clone_from(place),
            unset => *unset = Some(place.clone()),
        }
    }

    fn has_place(&mut self) -> bool {
        (self.argument)(&mut self.arguments).is_some()
    }

    fn behind(&mut self) -> Result<Behind, Status> {
        let has_place = self.has_place();
        let arguments = Arguments::new(&self.arguments).map_err(|cause| lost_place(&cause))?;
        Ok(Behind { arguments, has_place })
    }
}

/// The same over items that are read in place: only the last one is made a value, and only when it is asked for.
pub(crate) struct ViewCursor<T: ViewPayload> {
    pub(crate) inner: Box<dyn Cursor<T>>,
    pub(crate) last: Option<View<T>>,
}

impl<T: ViewPayload> Cursor<View<T>> for ViewCursor<T> {
    fn pass(&mut self, item: &View<T>) {
        self.last = Some(item.clone());
    }

    fn has_place(&mut self) -> bool {
        self.last.is_some() || self.inner.has_place()
    }

    fn behind(&mut self) -> Result<Behind, Status> {
        if let Some(last) = self.last.take() {
            self.inner.pass(&last.to_owned().map_err(|cause| lost_place(&cause))?);
        }
        self.inner.behind()
    }
}

fn lost_place(cause: &dyn std::error::Error) -> Status {
    Status::new(Code::InvalidArgument, format!("the place where a stream goes on can't be sent: {cause}"))
}
