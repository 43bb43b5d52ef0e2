//! The recorder's handles, by method: looked up once and not once per call.

use std::fmt;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use bowline_protocol::schema::ServiceDescriptor;
use metrics::{Counter, Gauge, Histogram, SharedString, counter, gauge, histogram};

use super::names::{self, Metric};

/// Services with series of their own: as many as a session may declare. Source: PROTOCOL section 3.
const SERVICES: usize = 64;

/// Which end of the call the layer is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Client,
    Server,
}

impl End {
    fn calls(self) -> Metric {
        match self {
            Self::Client => names::CLIENT_CALLS,
            Self::Server => names::SERVER_CALLS,
        }
    }

    fn in_flight(self) -> Metric {
        match self {
            Self::Client => names::CLIENT_CALLS_IN_FLIGHT,
            Self::Server => names::SERVER_CALLS_IN_FLIGHT,
        }
    }

    fn duration(self) -> Metric {
        match self {
            Self::Client => names::CLIENT_CALL_DURATION,
            Self::Server => names::SERVER_CALL_DURATION,
        }
    }

    fn errors(self) -> Metric {
        match self {
            Self::Client => names::CLIENT_CALL_ERRORS,
            Self::Server => names::SERVER_CALL_ERRORS,
        }
    }
}

/// The series of every method that was called.
pub(super) struct Book {
    end: End,
    services: RwLock<Vec<Known>>,
    other: OnceLock<Arc<Series>>,
}

struct Known {
    descriptor: &'static ServiceDescriptor,
    methods: Box<[OnceLock<Arc<Series>>]>,
}

/// Looks into a book, and first where it looked last: most calls are of the method of the one before.
#[derive(Debug, Clone)]
pub(super) struct Reader {
    book: Arc<Book>,
    last: Option<Found>,
}

#[derive(Clone)]
struct Found {
    service: &'static ServiceDescriptor,
    method: usize,
    series: Arc<Series>,
}

impl Reader {
    pub(super) fn new(book: Arc<Book>) -> Self {
        Self { book, last: None }
    }

    pub(super) fn series(&mut self, service: &'static ServiceDescriptor, method: usize) -> Arc<Series> {
        match &self.last {
            Some(last) if std::ptr::eq(last.service, service) && last.method == method => last.series.clone(),
            _ => {
                let series = self.book.series(service, method);
                self.last = Some(Found { service, method, series: series.clone() });
                series
            }
        }
    }
}

/// The series of one method.
pub(super) struct Series {
    end: End,
    method: SharedString,
    calls: Counter,
    in_flight: Gauge,
    succeeded: Histogram,
    /// By `error.type`, which is one of the few words that [`names`] lists.
    failed: RwLock<Vec<(&'static str, Failed)>>,
}

/// The series of one method's calls that end with one error.
#[derive(Clone)]
struct Failed {
    took: Histogram,
    errors: Counter,
}

impl Book {
    pub(super) fn new(end: End) -> Self {
        Self { end, services: RwLock::default(), other: OnceLock::new() }
    }

    fn series(&self, service: &'static ServiceDescriptor, method: usize) -> Arc<Series> {
        let known = self.services.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(series) = self.find(&known, service, method) {
            return series;
        }
        drop(known);
        let mut known = self.services.write().unwrap_or_else(PoisonError::into_inner);
        if !known.iter().any(|known| std::ptr::eq(known.descriptor, service)) && known.len() < SERVICES {
            let methods = service.methods.iter().map(|_| OnceLock::new()).collect();
            known.push(Known { descriptor: service, methods });
        }
        self.find(&known, service, method).unwrap_or_else(|| {
            self.other.get_or_init(|| Arc::new(Series::new(self.end, "_OTHER".into()))).clone()
        })
    }

    fn find(
        &self,
        known: &[Known],
        service: &'static ServiceDescriptor,
        method: usize,
    ) -> Option<Arc<Series>> {
        let known = known.iter().find(|known| std::ptr::eq(known.descriptor, service))?;
        let make = || {
            let name = format!("{}/{}", service.name, service.methods[method].name);
            Arc::new(Series::new(self.end, name.into()))
        };
        Some(known.methods.get(method)?.get_or_init(make).clone())
    }
}

impl Series {
    fn new(end: End, method: SharedString) -> Self {
        Self {
            end,
            calls: counter!(end.calls().name, "rpc.method" => method.clone()),
            in_flight: gauge!(end.in_flight().name),
            succeeded: histogram!(
                end.duration().name,
                "rpc.system.name" => "bowline",
                "rpc.method" => method.clone(),
            ),
            method,
            failed: RwLock::default(),
        }
    }

    pub(super) fn begin(&self) {
        self.calls.increment(1);
        self.in_flight.increment(1);
    }

    pub(super) fn end(&self, took: Duration, error: Option<&'static str>) {
        self.in_flight.decrement(1);
        match error {
            None => self.succeeded.record(took),
            Some(error) => {
                let failed = self.failed(error);
                failed.took.record(took);
                failed.errors.increment(1);
            }
        }
    }

    fn failed(&self, error: &'static str) -> Failed {
        let find = |known: &[(&'static str, Failed)]| {
            known.iter().find(|known| known.0 == error).map(|known| known.1.clone())
        };
        if let Some(failed) = find(&self.failed.read().unwrap_or_else(PoisonError::into_inner)) {
            return failed;
        }
        let mut known = self.failed.write().unwrap_or_else(PoisonError::into_inner);
        // Somebody else may have been here between the two locks.
        find(&known).unwrap_or_else(|| {
            let failed = Failed::new(self.end, &self.method, error);
            known.push((error, failed.clone()));
            failed
        })
    }
}

impl Failed {
    fn new(end: End, method: &SharedString, error: &'static str) -> Self {
        Self {
            took: histogram!(
                end.duration().name,
                "rpc.system.name" => "bowline",
                "rpc.method" => method.clone(),
                "error.type" => error,
            ),
            errors: counter!(end.errors().name, "rpc.method" => method.clone(), "error.type" => error),
        }
    }
}

impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Found").field("service", &self.service.name).field("method", &self.method).finish()
    }
}

impl fmt::Debug for Book {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Book").field("end", &self.end).finish_non_exhaustive()
    }
}
