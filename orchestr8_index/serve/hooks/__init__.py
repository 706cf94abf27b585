"""The hooks of a host: outcomes of delegated tasks come in, suggestions go out."""
