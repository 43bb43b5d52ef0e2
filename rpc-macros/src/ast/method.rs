//! One method of an `#[rpc]` trait.

use std::time::Duration;

use proc_macro2::Span;
use quote::format_ident;
use syn::ext::IdentExt;
use syn::{Attribute, Ident, Member, ReturnType, Signature, TraitItemFn, Type};

use super::argument::{Argument, Arguments, Context, Upload};
use super::output::Output;
use super::types::last_segment;
use super::{Crate, check_name, is_cfg};
use crate::attr::{self, Lag, MethodArgs, Resume};
use crate::diag::Diagnostics;

/// A method.
pub(crate) struct Method {
    pub(crate) ident: Ident,
    /// What the user wrote above it but `#[rpc(..)]`; stays there.
    pub(crate) attributes: Vec<Attribute>,
    /// Those of `attributes` that reach everything made of this method: docs, `#[cfg]`, `#[deprecated]`.
    pub(crate) shared: Vec<Attribute>,
    /// Those of `attributes` that decide whether the method exists at all.
    pub(crate) cfgs: Vec<Attribute>,
    pub(crate) kind: Kind,
    pub(crate) context: Option<Context>,
    pub(crate) arguments: Vec<Argument>,
    pub(crate) upload: Option<Upload>,
    pub(crate) output: Output,
    pub(crate) deadline: Option<Duration>,
    pub(crate) lag: Lag,
    pub(crate) retry: Retry,
    /// What a stream sets to go on where it was lost: an argument, to a field of the last item.
    pub(crate) resume: Option<(Ident, Member)>,
}

/// Whether a call may be sent again when its outcome is not known.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Retry {
    Never,
    Idempotent,
    Once,
}

/// The six kinds of calls.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Unary,
    ServerStream,
    ClientStream,
    Bidirectional,
    Notify,
    Watch,
}

impl Method {
    /// `None` if there is too little to make stubs of, which was reported.
    pub(super) fn from_syn(
        function: TraitItemFn,
        krate: &Crate,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let TraitItemFn { attrs: mut attributes, sig: signature, default, .. } = function;
        let args = MethodArgs::parse(&attributes, diagnostics);
        attributes.retain(|attribute| !attr::is_rpc(attribute) && !attr::mentions_rpc(attribute));

        check_signature(&signature, diagnostics);
        if let Some(body) = &default {
            let message =
                "a method of an `#[rpc]` trait has no default body: both ends must know that it exists";
            diagnostics.report(body, message);
        }
        let is_generic = !signature.generics.params.is_empty();
        let output = Output::from_syn(&signature, krate, diagnostics);
        let Signature { ident, inputs, output: answer, .. } = signature;
        let arguments = Arguments::from_syn(inputs, ident.span(), diagnostics);
        let output = output?;
        check_attribute(&args, &answer, &output, arguments.upload.as_ref(), diagnostics);
        let kind = kind(&args, &output, arguments.upload.as_ref());
        check_args(&args, kind, diagnostics);
        let retry = retry(&args, kind, diagnostics);
        let resume = args.resume.and_then(|(span, resume)| {
            check_resume(span, resume, kind, &arguments.wire, arguments.incomplete, diagnostics)
        });
        if is_generic || arguments.incomplete {
            return None;
        }

        Some(Self {
            ident,
            shared: attributes.iter().filter(|attribute| is_shared(attribute)).cloned().collect(),
            cfgs: attributes.iter().filter(|attribute| is_cfg(attribute)).cloned().collect(),
            attributes,
            kind,
            context: arguments.context,
            arguments: arguments.wire,
            upload: arguments.upload,
            output,
            deadline: args.deadline.map(|(_, deadline)| deadline),
            lag: args.lag.map_or(Lag::Close, |(_, lag)| lag),
            retry,
            resume,
        })
    }

    /// The method's name on the wire.
    pub(crate) fn name(&self) -> String {
        self.ident.unraw().to_string()
    }

    /// The struct that holds its arguments: `__PostArgs` for `post`.
    pub(crate) fn arguments_ident(&self) -> Ident {
        let mut name = String::from("__");
        let mut upper = true;
        for letter in self.name().chars() {
            if letter == '_' {
                upper = true;
            } else if upper {
                name.extend(letter.to_uppercase());
                upper = false;
            } else {
                name.push(letter);
            }
        }
        format_ident!("{name}Args", span = Span::mixed_site())
    }

    /// Its Leptos forms, and what they are called.
    pub(crate) fn leptos_idents(&self) -> Vec<(&'static str, Ident)> {
        let name = self.name();
        let forms: &[&'static str] = match self.kind {
            Kind::Unary => &["query", "action"],
            Kind::Notify => &["action"],
            Kind::ServerStream | Kind::Watch => &["signal"],
            Kind::ClientStream | Kind::Bidirectional => &[],
        };
        let ident = |form| format_ident!("{name}_{form}", span = self.ident.span());
        forms.iter().map(|form| (*form, ident(form))).collect()
    }

    pub(crate) fn has_views(&self) -> bool {
        self.arguments.iter().any(|argument| argument.is_view)
    }
}

fn check_signature(signature: &Signature, diagnostics: &mut Diagnostics) {
    check_name(&signature.ident, diagnostics);
    if let Some(token) = &signature.constness {
        diagnostics.report(token, "a method of an `#[rpc]` trait can't be `const`");
    }
    if let Some(token) = &signature.unsafety {
        diagnostics.report(token, "a method of an `#[rpc]` trait can't be `unsafe`");
    }
    if let Some(abi) = &signature.abi {
        diagnostics.report(abi, "a method of an `#[rpc]` trait can't have an ABI");
    }
    if let Some(variadic) = &signature.variadic {
        diagnostics.report(variadic, "a method of an `#[rpc]` trait can't be variadic");
    }
    if !signature.generics.params.is_empty() {
        let message =
            "a method of an `#[rpc]` trait can't be generic: its types are what both ends agreed on";
        diagnostics.report(&signature.generics, message);
    }
    if let Some(clause) = &signature.generics.where_clause {
        diagnostics.report(clause, "a method of an `#[rpc]` trait has no `where` clause");
    }
}

/// Whether `notify` and `watch` stand on what they fit.
fn check_attribute(
    args: &MethodArgs,
    answer: &ReturnType,
    output: &Output,
    upload: Option<&Upload>,
    diagnostics: &mut Diagnostics,
) {
    match (args.notify, args.watch) {
        (Some(notify), Some(_)) => diagnostics.report_at(notify, "a method is either `notify` or `watch`"),
        (Some(_), None) => {
            if let ReturnType::Type(_, ty) = answer
                && !is_unit(ty)
            {
                diagnostics.report(ty, "a notify has no answer");
            }
            if let Some(upload) = upload {
                diagnostics.report(&upload.ty, "a notify takes no stream");
            }
        }
        (None, Some(watch)) => {
            if !output.is_stream() {
                diagnostics.report_at(watch, "a watch returns `impl Stream<Item = T>`");
            }
            if let Some(upload) = upload {
                diagnostics.report(&upload.ty, "a watch takes no stream");
            }
        }
        (None, None) => {}
    }
}

fn kind(args: &MethodArgs, output: &Output, upload: Option<&Upload>) -> Kind {
    match (output.is_stream(), upload.is_some()) {
        (false, false) if args.notify.is_some() => Kind::Notify,
        (false, false) => Kind::Unary,
        (false, true) => Kind::ClientStream,
        (true, false) if args.watch.is_some() => Kind::Watch,
        (true, false) => Kind::ServerStream,
        (true, true) => Kind::Bidirectional,
    }
}

fn check_args(args: &MethodArgs, kind: Kind, diagnostics: &mut Diagnostics) {
    if let Some((span, _)) = args.deadline
        && kind == Kind::Notify
    {
        diagnostics.report_at(span, "a notify has no answer to wait for");
    }
    let Some((span, _)) = args.lag else { return };
    match kind {
        Kind::ServerStream | Kind::Bidirectional => {}
        Kind::Watch => diagnostics.report_at(span, "a watch keeps only its newest value: it can't lag"),
        Kind::Unary | Kind::ClientStream | Kind::Notify => {
            diagnostics.report_at(span, "only a method that returns `impl Stream<Item = T>` can lag");
        }
    }
}

/// The retry class, which only what can be sent again as a whole may have.
fn retry(args: &MethodArgs, kind: Kind, diagnostics: &mut Diagnostics) -> Retry {
    let (span, word, retry) = match (args.idempotent, args.once) {
        (None, None) => return Retry::Never,
        (Some(span), None) => (span, "idempotent", Retry::Idempotent),
        (None, Some(span)) => (span, "once", Retry::Once),
        (Some(idempotent), Some(_)) => {
            let message = "a method is either `idempotent` or `once`: one may run twice, the other may not";
            diagnostics.report_at(idempotent, message);
            return Retry::Never;
        }
    };
    let reason = match kind {
        Kind::Unary => return retry,
        Kind::Notify => "a notify is never sent again, since it has no answer that could be missing",
        Kind::ClientStream | Kind::Bidirectional => {
            "one that sends a stream is never sent again, since its items are gone"
        }
        Kind::Watch => "a watch is subscribed again by itself",
        Kind::ServerStream => {
            "a stream is subscribed again by itself, and `resume = \"..\"` says where it goes on"
        }
    };
    diagnostics.report_at(span, format!("`{word}` is for a call of values with one answer: {reason}"));
    Retry::Never
}

/// What `resume` names, if it is there and fits. Where arguments had to be left out, the one that is named may be one
/// of them.
fn check_resume(
    span: Span,
    resume: Resume,
    kind: Kind,
    arguments: &[Argument],
    incomplete: bool,
    diagnostics: &mut Diagnostics,
) -> Option<(Ident, Member)> {
    let message = match kind {
        Kind::ServerStream => None,
        Kind::Watch => Some("a watch keeps only its newest value: it has no place to go on from"),
        Kind::Bidirectional => Some("a call that sends a stream is never made again: its items are gone"),
        Kind::Unary | Kind::ClientStream | Kind::Notify => {
            Some("only a method that returns `impl Stream<Item = T>` can go on from an item")
        }
    };
    if let Some(message) = message {
        diagnostics.report_at(span, message);
        return None;
    }
    let Resume { argument, field } = resume;
    let Some(found) = arguments.iter().find(|it| it.ident.unraw() == argument.unraw()) else {
        if !incomplete {
            diagnostics.report(&argument, no_argument(&argument, arguments));
        }
        return None;
    };
    if last_segment(&found.ty).is_none_or(|segment| segment.ident != "Option") {
        let message = "expected `Option<T>`: a stream that `resume`s sets it to the field of its last item";
        diagnostics.report(&found.ty, message);
        return None;
    }
    Some((found.ident.clone(), field))
}

/// That it is not there, and which are.
fn no_argument(wanted: &Ident, arguments: &[Argument]) -> String {
    let wanted = wanted.unraw();
    let there: Vec<_> = arguments.iter().map(|argument| format!("`{}`", argument.ident.unraw())).collect();
    match there.as_slice() {
        [] => format!("there is no argument `{wanted}`: the method has none that a client sends"),
        there => format!("there is no argument `{wanted}`, only {}", there.join(", ")),
    }
}

fn is_unit(ty: &Type) -> bool {
    matches!(ty, Type::Tuple(tuple) if tuple.elems.is_empty())
}

fn is_shared(attribute: &Attribute) -> bool {
    ["doc", "cfg", "cfg_attr", "deprecated"].iter().any(|name| attribute.path().is_ident(name))
}
