"""How does a host that only speaks over stdin and stdout reach the one server?"""
