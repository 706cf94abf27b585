"""One process that answers: the table of methods, JSON-RPC, HTTP, and its own state."""
