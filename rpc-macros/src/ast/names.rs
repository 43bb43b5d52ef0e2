//! Names that the expansion makes: each may be made only once.

use std::collections::HashMap;

use super::Method;
use crate::diag::Diagnostics;

/// Reports methods that would make two things of one name.
///
/// Two methods of one name may stand side by side if both are conditional: what their `#[cfg]`s mean is the
/// compiler's to know.
pub(super) fn check(methods: &[Method], diagnostics: &mut Diagnostics) {
    let mut called: HashMap<String, &Method> = HashMap::new();
    let mut structs: HashMap<String, &Method> = HashMap::new();
    for method in methods {
        let name = method.name();
        match called.get(&name) {
            Some(other) if other.cfgs.is_empty() || method.cfgs.is_empty() => {
                diagnostics.report(&method.ident, format!("there is a method `{name}` already"));
            }
            Some(_) => {}
            None => {
                called.insert(name.clone(), method);
                let other = structs.insert(method.arguments_ident().to_string(), method);
                if let Some(other) = other {
                    let other = other.name();
                    diagnostics.report(
                        &method.ident,
                        format!("differs from `{other}` only in case and underscores"),
                    );
                }
            }
        }
    }
    for method in methods {
        for (_, made) in method.leptos_idents() {
            if let Some(other) = called.get(&made.to_string()) {
                let maker = method.name();
                let message =
                    format!("`{made}` is what a Leptos form of `{maker}` is called; rename one of the two");
                diagnostics.report(&other.ident, message);
            }
        }
    }
}
