"""Request targets, cut up as libevent cuts them: what it cannot parse is a 400, and an authority is not a path."""

from __future__ import annotations

import re
from dataclasses import dataclass

_PCHAR = rb"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/]|%[0-9A-Fa-f]{2})"
_TARGET = re.compile(
    rb"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.\-]*):)?"
    rb"(?://(?P<authority>[^/?#]*))?"
    rb"(?P<path>" + _PCHAR + rb"*)"
    rb"(?P<query>\?(?:" + _PCHAR + rb"|\?)*)?"
    rb"(?P<fragment>#(?:" + _PCHAR + rb"|\?)*)?"
)
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """What the dispatcher goes by."""

    path: bytes
    path_and_query: bytes


def parse_target(target: bytes) -> Target | None:
    """The parts of a request target, or None where it is malformed."""
    if target.startswith(b"/") and not target.startswith(b"//"):
        found = _TARGET.fullmatch(b"//-" + target)
    else:
        found = _TARGET.fullmatch(target)
    if found is None:
        return None
    path = found["path"]
    return Target(path=path, path_and_query=path + (found["query"] or b"") + (found["fragment"] or b""))


def unescaped(text: bytes) -> str:
    """Percent escapes decoded; bytes that are no UTF-8 are kept as surrogate escapes."""
    return _ESCAPE.sub(lambda found: bytes([int(found[1], 16)]), text).decode("utf-8", "surrogateescape")
