"""What can be seen of the server from outside: samples, reasons, traces."""
