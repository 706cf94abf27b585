"""What happened last time? Outcomes become durable decisions, experience for the ranking, and
patterns."""
