//! `once` calls: one run for each key, to its end, whatever happens to calls, sessions and links.

mod keys;
mod layers;
mod repeats;
mod running;
