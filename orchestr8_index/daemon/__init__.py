"""The server process: its lock file, its port, its watcher, how it starts and stops."""
