"""Pure checks of what others say: digests, Merkle trees, commitments, signed records, receipts.

No clock, no I/O, no key: signing and checking of signatures are passed in.
"""
