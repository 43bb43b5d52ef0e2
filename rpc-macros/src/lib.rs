//! The attributes #[rpc] and #[message] of Bowline.
