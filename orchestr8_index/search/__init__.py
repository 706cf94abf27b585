"""A question becomes a ranked answer: query, scores, rank, rows, confidence, reasoning."""
