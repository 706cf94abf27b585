"""Is one running? The lock, the port, the watcher, and how to put a server into the background."""
