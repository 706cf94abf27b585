"""What does an MCP host see? Tools, resources, prompts and skills over the same state."""
