"""Who is let in, and how much of everything may one caller take? In front of every route."""
