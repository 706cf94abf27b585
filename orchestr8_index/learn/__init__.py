"""What happened last time? Outcomes become decisions, experience and patterns."""
