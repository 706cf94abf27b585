"""One memory for a team: PostgreSQL keeps what several servers share."""
