//! Leptos hooks and signals over Bowline services.
