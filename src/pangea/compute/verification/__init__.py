"""Pure checks: hashing, Merkle trees, commitments. No clock, no I/O."""
