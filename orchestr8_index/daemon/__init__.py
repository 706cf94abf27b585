"""The process in the background: its lock, its port, its watcher, its start and its end."""
