/// The setters of a call that was described and not yet polled, for each future that has `edit`, a way to its
/// [`Prepared`](super::prepared::Prepared) until the first poll. Inherent methods, since a trait would have to be imported.
macro_rules! setters {
    // A call whose one answer can be waited for: it can also be queued.
    (unary [$($generics:tt)*] $future:ty $(where [$($bounds:tt)*])?) => {
        setters!([$($generics)*] $future $(where [$($bounds)*])?);

        impl<$($generics)*> $future
        $(where $($bounds)*)?
        {
            /// Lets the call wait for a session for a day, longer than it may take: its deadline begins when it is written.
            ///
            /// For what a person does while there is no network. [`queued_for`](Self::queued_for) says more, and waits for as
            /// long as it is told. Source of the day: what was written yesterday is still meant, what was written a week ago
            /// mostly surprises.
            pub fn queued(self) -> Self {
                self.queued_for(super::prepared::EXPIRY)
            }

            /// Lets the call wait for a session for as long as `expiry`, longer than it may take: its deadline begins when it
            /// is written.
            ///
            /// It waits with the others that do, in order, in a queue with a bound (`Limits::waiting_calls`); if that is full
            /// the call ends with `ResourceExhausted`. When its expiry has passed it ends with `DeadlineExceeded(NotSent)`;
            /// when the client is closed before, nothing was sent either. The expiry holds by the wall clock too: the time
            /// that a device sleeps counts, and a wall clock that is set forward takes as much from it as it is set. One that
            /// is set back adds nothing. The call is kept in memory only, and dropping the future withdraws it.
            pub fn queued_for(mut self, expiry: std::time::Duration) -> Self {
                self.edit(|prepared| prepared.queued(expiry));
                self
            }
        }
    };
    // A one-way call, which nobody waits for.
    (one_way [$($generics:tt)*] $future:ty $(where [$($bounds:tt)*])?) => {
        impl<$($generics)*> $future
        $(where $($bounds)*)?
        {
            /// Sends `value` under `name` beside the arguments.
            pub fn metadata(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
                self.edit(|prepared| prepared.metadata(name.into(), value.into()));
                self
            }
        }
    };
    ([$($generics:tt)*] $future:ty $(where [$($bounds:tt)*])?) => {
        setters!(one_way [$($generics)*] $future $(where [$($bounds)*])?);

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
