//! A session, of either end, against a peer and an application that do what the input says: no panic, no table beyond
//! its bound, a close code from the table, and nothing left at the end.

#![no_main]

#[path = "../../protocol/tests/hostile/mod.rs"]
mod hostile;

use bowline_protocol::session::Role;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((first, script)) = input.split_first() else { return };
    let tested = if first % 2 == 0 { Role::Server } else { Role::Client };
    hostile::run(tested, script);
});
