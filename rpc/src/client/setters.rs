/// The setters of a call that was described and not yet polled, for each future that has `edit`, a way to its
/// [`Prepared`](super::prepared::Prepared) until the first poll. Inherent methods, since a trait would have to be imported.
macro_rules! setters {
    ([$($generics:tt)*] $future:ty $(where [$($bounds:tt)*])?) => {
        impl<$($generics)*> $future
        $(where $($bounds)*)?
        {
            /// Gives the call `timeout` from its first poll on; a stream has that long to be accepted. The method's
            /// attribute or the session's default is replaced.
            pub fn deadline(mut self, timeout: std::time::Duration) -> Self {
                self.edit(|prepared| prepared.deadline(timeout));
                self
            }

            /// Gives the call no deadline of its own. The other end still gives up after its `Timing::deadline_max`, 10
            /// minutes by default.
            pub fn no_deadline(mut self) -> Self {
                self.edit(super::prepared::Prepared::no_deadline);
                self
            }

            /// Sends `value` under `name` beside the arguments.
            pub fn metadata(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
                self.edit(|prepared| prepared.metadata(name.into(), value.into()));
                self
            }

            /// Does not wait for a session: unless one is live at the first poll (behind the caller's layers, if there
            /// are any), the call ends at once with `Disconnected(NotSent)`.
            ///
            /// Without it a call waits for a session within its deadline. A session that is live and out of credit is
            /// waited for all the same.
            pub fn fail_fast(mut self) -> Self {
                self.edit(super::prepared::Prepared::fail_fast);
                self
            }
        }
    };
}

pub(super) use setters;
