//! The server end of Bowline: sessions, Axum integration, in-process channel.
