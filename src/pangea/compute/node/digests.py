"""What a task's results are named by, where the node's rooms look for it."""

from __future__ import annotations

from pangea.compute.verification.digests import digest_of, leaves_of

__all__ = ["digest_of", "leaves_of"]
