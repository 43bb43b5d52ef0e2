//! Type-safe WebSocket RPC for Rust, with reactive bindings for Leptos.
