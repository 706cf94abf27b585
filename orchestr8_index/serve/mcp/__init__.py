"""The MCP face: tools, resources, prompts and skills over the same state."""
