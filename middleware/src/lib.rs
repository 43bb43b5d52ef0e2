//! Tower layers over one call, the same on server and client.
