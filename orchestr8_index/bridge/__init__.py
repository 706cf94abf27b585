"""The bridge from a host that speaks over stdin and stdout to the one server."""
