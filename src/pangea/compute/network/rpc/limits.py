"""What one link and one owner may ask of a node's wire. Every bound is checked before anything is decoded or begun."""

from __future__ import annotations

from dataclasses import dataclass

from pangea.compute.model.units import KIB, MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class WireLimits:
    """Bounds of a server.

    Attributes:
        message_bytes_max: of one Cap'n Proto message, as framed.
        large_bytes_max: of one message of who may submit jobs: what a client of the original schema can send and receive.
        large_bytes_in_all: of such messages that are larger than `message_bytes_max`, on their way from everybody together.
        large_answers_max: of such answers, made or not yet taken, at once.
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
        silent_seconds: that one which has never made a call keeps its place when others want it (its own owner, at once), and
        unused_seconds: one that has made some.
    """

    message_bytes_max: int = 8 * MIB
    large_bytes_max: int = 64 * MIB + 64 * KIB
    large_bytes_in_all: int = 256 * MIB
    large_answers_max: int = 4
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
    silent_seconds: float = 2.0
    unused_seconds: float = 60.0


#: Lists nested deeper than this aren't ours.
NESTING_MAX = 16
#: Result that `getJobResult` carries: with what is around it, as much as a Cap'n Proto reader takes if it isn't told otherwise.
RESULT_BYTES_MAX = 64 * MIB - 4 * KIB
#: Ids, names and hashes are short.
TEXT_CHARACTERS_MAX = 256
