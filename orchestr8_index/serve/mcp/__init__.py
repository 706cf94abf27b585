"""The MCP endpoint: tools, resources, prompts and skills over the server's state."""
