"""The server's entry in a host's own configuration: put in, and taken out again."""
