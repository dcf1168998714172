"""The client SDK: define jobs, feed them, get results."""
