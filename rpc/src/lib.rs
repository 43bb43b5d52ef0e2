//! The typed middle of Bowline: calls, context, streams, views, router, channel, topic.
