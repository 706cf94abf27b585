"""The durable ledger of decisions, patterns and queries, in SQLite."""
