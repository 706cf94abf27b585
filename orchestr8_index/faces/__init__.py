"""The tools of other products, on the methods of the shared state."""
