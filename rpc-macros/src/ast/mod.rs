//! What an `#[rpc]` trait says, validated: expansion reads only this and cannot fail.

mod argument;
mod krate;
mod method;
mod names;
mod output;
mod types;

use proc_macro2::TokenStream;
use syn::ext::IdentExt;
use syn::{Attribute, Ident, ItemTrait, TraitItem, Visibility};

use crate::attr::ServiceArgs;
use crate::diag::Diagnostics;

pub(crate) use self::argument::Argument;
pub(crate) use self::krate::Crate;
pub(crate) use self::method::{Kind, Method, Retry};
pub(crate) use self::output::Output;

/// Both ends of the wire refuse longer tables.
const MOST_METHODS: usize = 1_024;
/// Names travel in declarations.
const LONGEST_NAME: usize = 256;

/// An `#[rpc]` trait.
pub(crate) struct Service {
    pub(crate) ident: Ident,
    pub(crate) vis: Visibility,
    pub(crate) krate: Crate,
    /// What the user wrote above the trait; stays there.
    pub(crate) attributes: Vec<Attribute>,
    /// Those of `attributes` that decide whether the trait exists at all.
    pub(crate) cfgs: Vec<Attribute>,
    pub(crate) methods: Vec<Method>,
}

impl Service {
    /// Reports everything that is wrong with `item`; what is returned is then as good as it gets, for the stubs that
    /// keep one mistake from becoming many.
    pub(crate) fn from_syn(args: TokenStream, item: ItemTrait, diagnostics: &mut Diagnostics) -> Self {
        let krate = Crate(ServiceArgs::parse(args, diagnostics).krate);
        check_trait(&item, diagnostics);

        let mut methods = Vec::new();
        for item in item.items {
            match item {
                TraitItem::Fn(function) => methods.extend(Method::from_syn(function, &krate, diagnostics)),
                TraitItem::Type(item) => {
                    diagnostics.report(item.type_token, "an `#[rpc]` trait has no associated types");
                }
                TraitItem::Const(item) => {
                    diagnostics.report(item.const_token, "an `#[rpc]` trait has no associated constants");
                }
                other => diagnostics.report(other, "expected a method"),
            }
        }
        if let Some(method) = methods.get(MOST_METHODS) {
            diagnostics.report(&method.ident, format!("a service has at most {MOST_METHODS} methods"));
        }
        names::check(&methods, diagnostics);

        Self {
            ident: item.ident,
            vis: item.vis,
            krate,
            cfgs: item.attrs.iter().filter(|attribute| is_cfg(attribute)).cloned().collect(),
            attributes: item.attrs,
            methods,
        }
    }

    /// The service's name on the wire.
    pub(crate) fn name(&self) -> String {
        self.ident.unraw().to_string()
    }
}

fn check_trait(item: &ItemTrait, diagnostics: &mut Diagnostics) {
    if let Some(token) = &item.unsafety {
        diagnostics.report(token, "an `#[rpc]` trait can't be `unsafe`");
    }
    if let Some(token) = &item.auto_token {
        diagnostics.report(token, "an `#[rpc]` trait can't be `auto`");
    }
    if !item.generics.params.is_empty() {
        diagnostics.report(
            &item.generics,
            "an `#[rpc]` trait can't be generic: its types are what both ends agreed on",
        );
    }
    if let Some(clause) = &item.generics.where_clause {
        diagnostics.report(clause, "an `#[rpc]` trait has no `where` clause");
    }
    if !item.supertraits.is_empty() {
        let message = "an `#[rpc]` trait has no supertraits of yours: `Send + Sync + 'static` are added where they are needed";
        diagnostics.report(&item.supertraits, message);
    }
    check_name(&item.ident, diagnostics);
}

fn check_name(ident: &Ident, diagnostics: &mut Diagnostics) {
    if ident.unraw().to_string().len() > LONGEST_NAME {
        diagnostics.report(ident, format!("a name on the wire has at most {LONGEST_NAME} bytes"));
    }
}

fn is_cfg(attribute: &Attribute) -> bool {
    attribute.path().is_ident("cfg")
}
