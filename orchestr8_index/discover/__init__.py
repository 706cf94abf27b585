"""From markdown files to a ranked answer: scan, parse, snapshot, index, rank, answer."""
