"""A JSON reader that accepts and refuses what TensorFlow Serving's does, with its words and byte offsets.

It stops after the first value, takes `NaN`, `Inf` and `Infinity`, keeps duplicate keys and invalid UTF-8, and never
recurses. Requests that a strict parser understands in the same way do not come here (see `predict_json`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NoReturn

from serving.embedded.json_numbers import double, integer_within_64_bits
from serving.embedded.status import invalid

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_DEPTH = 10_000
"""TensorFlow Serving recurses and dies somewhat later than this; each level costs memory here."""

_SPACE = re.compile(rb"[ \n\r\t]*")
_PLAIN = re.compile(rb'[^"\\\x00-\x1f]*')
_DIGITS = re.compile(rb"[0-9]*")
_WORDS: dict[int, tuple[bytes, bool | None]] = {0x6E: (b"null", None), 0x74: (b"true", True), 0x66: (b"false", False)}
_SIMPLE_ESCAPES = {0x22: '"', 0x5C: "\\", 0x2F: "/", 0x62: "\b", 0x66: "\f", 0x6E: "\n", 0x72: "\r", 0x74: "\t"}


class JsonObject:
    """An object with its members in order, duplicates included; looking one up finds the first."""

    __slots__ = ("members",)

    def __init__(self) -> None:
        self.members: list[tuple[str, object]] = []

    def find(self, key: str) -> tuple[bool, object]:
        for name, value in self.members:
            if name == key:
                return True, value
        return False, None

    def __iter__(self) -> Iterator[tuple[str, object]]:
        return iter(self.members)


def parse(body: bytes) -> object:
    """The first JSON value in `body`: None, bool, int, float, str, list, or JsonObject.

    Strings keep undecodable bytes as surrogate escapes. Raises ServingError.
    """
    if not body:
        raise invalid("JSON Parse error: The document is empty")
    return _Reader(body).document()


def parse_object(body: bytes) -> JsonObject:
    """As `parse`, for a document that must be an object."""
    value = parse(body)
    if not isinstance(value, JsonObject):
        from serving.embedded.json_write import value_text

        raise invalid(f"JSON Value: {value_text(value)} Is not object")
    return value


class _Reader:
    def __init__(self, body: bytes) -> None:
        # A zero byte ends the stream for the original, so one at the end saves every bounds check.
        self.data = body + b"\0"
        self.at = 3 if body.startswith(b"\xef\xbb\xbf") else 0

    def fail(self, what: str, at: int | None = None) -> NoReturn:
        raise invalid(f"JSON Parse error: {what} at offset: {self.at if at is None else at}")

    def skip_space(self) -> int:
        """Move past white space; the byte that follows."""
        self.run_of(_SPACE)
        return self.data[self.at]

    def document(self) -> object:
        if self.skip_space() == 0:
            self.fail("The document is empty.")
        open_containers: list[tuple[JsonObject | list[object], str]] = []
        while True:
            value, opened = self.value(open_containers)
            if opened:
                continue
            while True:
                if not open_containers:
                    return value
                container, key = open_containers[-1]
                if isinstance(container, list):
                    container.append(value)
                    closed = self.after_element()
                else:
                    container.members.append((key, value))
                    closed = self.after_member(open_containers)
                if not closed:
                    break
                value = open_containers.pop()[0]

    def value(self, open_containers: list[tuple[JsonObject | list[object], str]]) -> tuple[object, bool]:
        """The scalar or empty container here, or (None, True) after opening a container that has content."""
        first = self.data[self.at]
        if first in b"{[":
            return self.container(open_containers, is_object=first == 0x7B)
        if first == 0x22:
            return self.string(), False
        if first in b"ntf":
            return self.word(first), False
        return self.number(), False

    def container(
        self, open_containers: list[tuple[JsonObject | list[object], str]], *, is_object: bool
    ) -> tuple[object, bool]:
        self.at += 1
        new: JsonObject | list[object] = JsonObject() if is_object else []
        if self.skip_space() == (0x7D if is_object else 0x5D):
            self.at += 1
            return new, False
        self.open(open_containers, new, self.member_name() if is_object else "")
        return None, True

    def open(
        self,
        open_containers: list[tuple[JsonObject | list[object], str]],
        container: JsonObject | list[object],
        key: str,
    ) -> None:
        if len(open_containers) >= MAX_DEPTH:
            self.fail("Terminate parsing due to Handler error.")
        open_containers.append((container, key))

    def member_name(self) -> str:
        if self.data[self.at] != 0x22:
            self.fail("Missing a name for object member.")
        name = self.string()
        if self.skip_space() != 0x3A:
            self.fail("Missing a colon after a name of object member.")
        self.at += 1
        self.skip_space()
        return name

    def after_member(self, open_containers: list[tuple[JsonObject | list[object], str]]) -> bool:
        follows = self.skip_space()
        if follows not in b",}":
            self.fail("Missing a comma or '}' after an object member.")
        self.at += 1
        if follows == 0x7D:
            return True
        self.skip_space()
        open_containers[-1] = (open_containers[-1][0], self.member_name())
        return False

    def after_element(self) -> bool:
        follows = self.skip_space()
        if follows not in b",]":
            self.fail("Missing a comma or ']' after an array element.")
        self.at += 1
        if follows == 0x5D:
            return True
        self.skip_space()
        return False

    def word(self, first: int) -> bool | None:
        letters, value = _WORDS[first]
        self.expect(letters)
        return value

    def expect(self, letters: bytes) -> None:
        """Move past these letters, or fail at the first that is another."""
        for letter in letters:
            if self.data[self.at] != letter:
                self.fail("Invalid value.")
            self.at += 1

    def string(self) -> str:
        self.at += 1
        parts: list[bytes] = []
        while True:
            parts.append(self.run_of(_PLAIN))
            match self.data[self.at]:
                case 0x22:
                    self.at += 1
                    return b"".join(parts).decode("utf-8", "surrogateescape")
                case 0x5C:
                    parts.append(self.escape())
                case 0:
                    self.fail("Missing a closing quotation mark in string.")
                case _:
                    self.fail("Invalid encoding in string.")

    def escape(self) -> bytes:
        start = self.at
        letter = self.data[self.at + 1]
        simple = _SIMPLE_ESCAPES.get(letter)
        if simple is not None:
            self.at += 2
            return simple.encode()
        if letter != 0x75:
            self.fail("Invalid escape character in string.", start)
        self.at += 2
        point = self.hex4(start)
        if 0xD800 <= point <= 0xDFFF:
            if point > 0xDBFF or self.data[self.at : self.at + 2] != b"\\u":
                self.fail("The surrogate pair in string is invalid.", start)
            self.at += 2
            low = self.hex4(start)
            if not 0xDC00 <= low <= 0xDFFF:
                self.fail("The surrogate pair in string is invalid.", start)
            point = ((point - 0xD800) << 10 | low - 0xDC00) + 0x10000
        return chr(point).encode()

    def hex4(self, start: int) -> int:
        digits = self.data[self.at : self.at + 4]
        if re.fullmatch(rb"[0-9A-Fa-f]{4}", digits) is None:
            self.fail("Incorrect hex digit after \\u escape in string.", start)
        self.at += 4
        return int(digits, 16)

    def run_of(self, pattern: re.Pattern[bytes]) -> bytes:
        """What the pattern, which also matches nothing, finds here; move past it."""
        run = pattern.match(self.data, self.at)
        if run is None:
            raise AssertionError(pattern.pattern)
        self.at = run.end()
        return run.group()

    def number(self) -> int | float:
        start = self.at
        minus = self.data[self.at] == 0x2D
        if minus:
            self.at += 1
        first = self.data[self.at]
        if first == 0x30:
            self.at += 1
            whole = b"0"
        elif 0x31 <= first <= 0x39:
            whole = self.run_of(_DIGITS)
        elif first in b"IN":
            return self.not_finite(minus=minus)
        else:
            self.fail("Invalid value.")
        fraction, exponent, plain = b"", 0, True
        if self.data[self.at] == 0x2E:
            self.at += 1
            fraction, plain = self.run_of(_DIGITS), False
            if not fraction:
                self.fail("Miss fraction part in number.")
        if self.data[self.at] in b"eE":
            exponent, plain = self.exponent(), False
        if plain and (integer := integer_within_64_bits(whole, minus=minus)) is not None:
            return -integer if minus else integer
        value = double(whole, fraction, exponent, minus=minus)
        if value == float("inf"):
            self.fail("Number too big to be stored in double.", start)
        return -value if minus else value

    def exponent(self) -> int:
        self.at += 1
        sign = 1
        if self.data[self.at] in b"+-":
            sign = -1 if self.data[self.at] == 0x2D else 1
            self.at += 1
        digits = self.run_of(_DIGITS)
        if not digits:
            self.fail("Miss exponent in number.")
        # More digits than this are out of any double's range in either direction.
        return sign * int(digits.lstrip(b"0")[:10] or b"0")

    def not_finite(self, *, minus: bool) -> float:
        if self.data[self.at] == 0x4E:
            self.expect(b"NaN")
            return float("nan")
        self.expect(b"Inf")
        if self.data[self.at] == 0x69:
            self.expect(b"inity")
        return float("-inf") if minus else float("inf")
