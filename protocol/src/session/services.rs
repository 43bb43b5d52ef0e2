use super::types::CallId;
use super::{Session, State};
use crate::Instant;
use crate::codec::Codec;
use crate::envelope::bounds::{MAX_METHODS, MAX_SERVICES};
use crate::envelope::{Declaration, DeclareAnswer, Sequenced, WireMethod};
use crate::schema::{Retry, ServiceDescriptor};
use crate::session::notify::Outgoing;
use crate::session::outgoing::Turn;
use crate::status::{CloseCode, Code, Status};

/// What is known about a service of the other end that this end calls.
#[derive(Debug)]
pub(super) enum Agreement {
    Undeclared,
    /// Declared; what waits for the answer, in order.
    Pending(Vec<Waiter>),
    Same,
    Different(Box<[MethodAgreement]>),
    Unknown,
}

/// What waits for the answer to a declaration.
#[derive(Debug)]
pub(super) enum Waiter {
    Call(CallId),
    Notify(Box<Outgoing>),
}

/// What is known about one method where digests differ.
#[derive(Debug, Clone, Copy)]
pub(super) enum MethodAgreement {
    Agreed { number: u32, codec: Codec, retry: Retry },
    OtherKind,
    Missing,
}

impl Agreement {
    /// The method's number and codec, or why it can't be called; `None` while the answer is not there.
    #[inline]
    pub(super) fn agree(
        &self,
        service: &'static ServiceDescriptor,
        method: usize,
    ) -> Option<Result<(u32, Codec), Status>> {
        match self {
            Self::Same => Some(Ok((method as u32, Codec::Rkyv))),
            Self::Undeclared | Self::Pending(_) => None,
            Self::Different(methods) => Some(match methods[method] {
                MethodAgreement::Agreed { number, codec, .. } => Ok((number, codec)),
                MethodAgreement::OtherKind => Err(other_kind(service, method)),
                MethodAgreement::Missing => Err(missing(service, method)),
            }),
            Self::Unknown => Some(Err(unknown(service))),
        }
    }
}

#[cold]
fn unknown(service: &ServiceDescriptor) -> Status {
    Status::new(Code::Unimplemented, format!("the other end serves no `{}`", service.name))
}

#[cold]
fn other_kind(service: &ServiceDescriptor, method: usize) -> Status {
    let name = service.methods[method].name;
    let message = format!("`{}/{name}` is another kind of call at the other end", service.name);
    Status::new(Code::SchemaMismatch, message)
}

#[cold]
fn missing(service: &ServiceDescriptor, method: usize) -> Status {
    let name = service.methods[method].name;
    Status::new(Code::Unimplemented, format!("the other end has no `{}/{name}`", service.name))
}

/// Matches our methods against the list of the other end.
fn match_methods(service: &ServiceDescriptor, theirs: &[WireMethod]) -> Box<[MethodAgreement]> {
    let ours = service.methods.iter();
    ours.map(|method| match theirs.iter().position(|it| it.name == method.name) {
        None => MethodAgreement::Missing,
        Some(place) if theirs[place].kind != method.kind.to_wire() => MethodAgreement::OtherKind,
        Some(place) => {
            let codec = if theirs[place].hash == method.hash { Codec::Rkyv } else { Codec::Json };
            // A class that this end doesn't know promises nothing here.
            let retry = method.retry.with_callee(Retry::from_wire(theirs[place].retry).unwrap_or_default());
            MethodAgreement::Agreed { number: place as u32, codec, retry }
        }
    })
    .collect()
}

/// How a service is declared.
pub(super) fn declaration(service: &ServiceDescriptor) -> Declaration {
    Declaration { name: service.name.to_owned(), digest: service.digest() }
}

impl State {
    /// What both ends say of a method of our service with this number; [`Retry::Never`] while the other end has not said.
    #[inline]
    pub(super) fn retry(&self, number: u16, service: &'static ServiceDescriptor, method: usize) -> Retry {
        match self.agreements.get(usize::from(number)) {
            Some(Agreement::Same) => service.methods[method].retry,
            Some(Agreement::Different(methods)) => match methods[method] {
                MethodAgreement::Agreed { retry, .. } => retry,
                MethodAgreement::OtherKind | MethodAgreement::Missing => Retry::Never,
            },
            _ => Retry::Never,
        }
    }

    /// Takes a declaration of the other end in; returns the answer.
    fn declared(
        &mut self,
        served: &[&'static ServiceDescriptor],
        declaration: &Declaration,
    ) -> DeclareAnswer {
        let service = served.iter().find(|it| it.name == declaration.name).copied();
        self.served.push(service);
        match service {
            None => DeclareAnswer::Unknown,
            Some(service) if service.digest() == declaration.digest => DeclareAnswer::Same,
            Some(service) => DeclareAnswer::Different(service.methods.iter().map(wire_method).collect()),
        }
    }
}

fn wire_method(method: &crate::schema::MethodDescriptor) -> WireMethod {
    WireMethod {
        name: method.name.to_owned(),
        kind: method.kind.to_wire(),
        retry: method.retry.to_wire(),
        hash: method.hash,
    }
}

impl Session {
    /// What may happen to a call of one of this end's services when its outcome is not known, as both ends
    /// [say](Retry::with_callee). [`Retry::Never`] while the other end has not said.
    pub fn retry_class(&self, service: &'static ServiceDescriptor, method: usize) -> Retry {
        let known = self.services.iter().position(|it| std::ptr::eq(*it, service));
        known.map_or(Retry::Never, |place| self.state.retry(place as u16, service, method))
    }

    /// Announces a service that this end will call, so that its first call need not wait for the answer.
    ///
    /// What is called without an announcement is announced then. A session has room for 64 services.
    pub fn declare(&mut self, _now: Instant, service: &'static ServiceDescriptor) {
        if let Some(number) = self.service_number(service)
            && self.is_live()
        {
            self.agreement(number);
        }
    }

    /// The number of a service in our declarations; `None` when there are too many.
    pub(super) fn service_number(&mut self, service: &'static ServiceDescriptor) -> Option<u16> {
        let known = self.services.iter().position(|it| std::ptr::eq(*it, service));
        if let Some(number) = known {
            return Some(number as u16);
        }
        if self.services.len() >= MAX_SERVICES {
            return None;
        }
        self.services.push(service);
        Some((self.services.len() - 1) as u16)
    }

    /// The agreement about one of our services, declared now if it was not yet. The session is live.
    #[inline]
    pub(super) fn agreement(&mut self, number: u16) -> &mut Agreement {
        let place = usize::from(number);
        if matches!(self.state.agreements.get(place), None | Some(Agreement::Undeclared)) {
            self.declare_up_to(place);
        }
        &mut self.state.agreements[place]
    }

    fn declare_up_to(&mut self, place: usize) {
        while self.state.agreements.len() <= place {
            self.state.agreements.push(Agreement::Undeclared);
        }
        // Numbers count up on the wire, so earlier services go first, wanted or not.
        for earlier in 0..=place {
            if matches!(self.state.agreements[earlier], Agreement::Undeclared) {
                self.state.agreements[earlier] = Agreement::Pending(Vec::new());
                self.state.queue.push(Turn::Declare(earlier as u16));
            }
        }
    }

    /// Takes a declaration of the other end in and queues the answer.
    pub(super) fn handle_declare(&mut self, now: Instant, service: u32, declaration: &Declaration) {
        if service as usize != self.state.served.len() || self.state.served.len() >= MAX_SERVICES {
            return self.close(now, CloseCode::MALFORMED, "declarations must count up, to 64 at most");
        }
        self.accept_declaration(declaration);
    }

    /// As [`handle_declare`](Self::handle_declare), with the next number.
    pub(super) fn accept_declaration(&mut self, declaration: &Declaration) {
        let service = self.state.served.len() as u32;
        let answer = self.state.declared(&self.config.services, declaration);
        self.state.queue.push(Turn::Data(Box::new(Sequenced::Declared { service, answer })));
    }

    /// The other end answers a declaration of ours.
    pub(super) fn handle_declared(&mut self, now: Instant, service: u32, answer: DeclareAnswer) {
        let place = service as usize;
        let Some(Agreement::Pending(waiters)) = self.state.agreements.get_mut(place) else {
            return self.close(now, CloseCode::MALFORMED, "an answer to no declaration");
        };
        let waiters = std::mem::take(waiters);
        let agreement = match answer {
            DeclareAnswer::Same => Agreement::Same,
            DeclareAnswer::Unknown => Agreement::Unknown,
            DeclareAnswer::Different(methods) if methods.len() > MAX_METHODS => {
                return self.close(now, CloseCode::MALFORMED, "more than 1,024 methods");
            }
            DeclareAnswer::Different(methods) => {
                Agreement::Different(match_methods(self.services[place], &methods))
            }
        };
        self.state.agreements[place] = agreement;
        for waiter in waiters {
            match waiter {
                Waiter::Call(call) => self.route(call),
                Waiter::Notify(notify) => self.send_notify(*notify),
            }
        }
    }
}
