"""JSON between processes of this package, whatever the program has put in place of `json.dumps` and its like."""

from __future__ import annotations

from json.decoder import JSONDecoder
from json.encoder import JSONEncoder

#: To text in ASCII.
dumps = JSONEncoder(separators=(",", ":")).encode
#: To text with characters as they are: an escape takes twelve bytes for an emoji.
dumps_as_is = JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
#: From text.
loads = JSONDecoder().decode
