"""The page that people look at: its files, and how they are sent."""
