"""Where does it live? The durable ledger of decisions, patterns and queries, in SQLite."""
