"""The server: the handlers of all methods, JSON-RPC, MCP, HTTP, and the state behind them."""
