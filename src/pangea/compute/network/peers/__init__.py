"""One link: addresses, its two ends, handshakes under way.

What is said over it is `rpc`'s business.
"""
