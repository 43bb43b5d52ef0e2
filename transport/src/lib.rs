//! Whole messages over native sockets, the browser's WebSocket, and memory with faults.
