"""What one link and one owner may ask of a node's wire. Every bound is checked before anything is decoded or begun."""

from __future__ import annotations

from dataclasses import dataclass

from pangea.compute.model.units import MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class WireLimits:
    """Bounds of a server.

    Attributes:
        message_bytes_max: of one Cap'n Proto message, as framed; also its traversal limit, so that small messages which
            claim much are refused, too.
        segments_max: of one message.
        connections_max: in all, and
        connections_per_owner_max: from one owner.
        calls_in_flight_max: on one connection.
        uploads_max: open on one connection.
        streams_max: of large content over the unix socket, at once; each has a thread.
        handshakes_max: connections over TCP whose handshake isn't done.
        handshake_seconds: until a TLS handshake is done.
        message_seconds: from the first byte of a message to its last; also for reading a part of what is sent.
        idle_seconds: that a connection may live without a call.
    """

    message_bytes_max: int = 8 * MIB
    segments_max: int = 512
    connections_max: int = 256
    connections_per_owner_max: int = 128
    calls_in_flight_max: int = 1_024
    uploads_max: int = 4
    streams_max: int = 4
    handshakes_max: int = 64
    handshake_seconds: float = 5.0
    message_seconds: float = 30.0
    idle_seconds: float = 300.0


#: Lists nested deeper than this aren't ours.
NESTING_MAX = 16
#: Result that `getJobResult` and `getOutcome` carry themselves.
RESULT_BYTES_MAX = 4 * MIB
#: Ids, names and hashes are short.
TEXT_CHARACTERS_MAX = 256
