"""The stdio bridge: connects a host that speaks MCP over stdin and stdout to the server."""
