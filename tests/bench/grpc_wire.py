"""A gRPC client of a few frames, so light that a measurement shows the server and not the client.

grpcio's own Python client costs more than the server's answer. This one sends the same two HTTP/2 frames for each call,
made once, and looks at nothing in the answer but where it ends and whether it held a message.
"""

from __future__ import annotations

import socket
import struct
import time

_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _GOAWAY, _WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
_END_STREAM, _END_HEADERS, _ACK = 1, 4, 1
_LARGEST_WINDOW = (1 << 31) - 1
_FIRST_WINDOW = 65_535
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


class WireClient:
    """One connection that calls one method with one payload, again and again."""

    def __init__(self, port: int, path: str, payload: bytes) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(
            _PREFACE
            + _frame(_SETTINGS, 0, 0, struct.pack(">HI", 4, _LARGEST_WINDOW))
            + _frame(_WINDOW_UPDATE, 0, 0, struct.pack(">I", _LARGEST_WINDOW - _FIRST_WINDOW))
        )
        headers = {
            ":method": "POST",
            ":scheme": "http",
            ":path": path,
            ":authority": "localhost",
            "te": "trailers",
            "content-type": "application/grpc",
        }
        self._headers = b"".join(_literal(name) + value for name, value in _encoded(headers))
        self._message = b"\0" + struct.pack(">I", len(payload)) + payload
        self._stream = -1
        self._unread = b""

    def close(self) -> None:
        self._socket.close()

    def call(self) -> None:
        """One call. Raises RuntimeError where the answer is an error."""
        self._stream += 2
        self._socket.sendall(_frame(_HEADERS, _END_HEADERS, self._stream, self._headers) + self._data_frames())
        answered = False
        while True:
            kind, flags, stream, payload = self._next_frame()
            if kind in (_RESET, _GOAWAY):
                raise RuntimeError(f"the server ended it: frame {kind}, {payload!r}")
            if kind == _SETTINGS and not flags & _ACK:
                self._socket.sendall(_frame(_SETTINGS, _ACK, 0, b""))
            elif kind == _PING and not flags & _ACK:
                self._socket.sendall(_frame(_PING, _ACK, 0, payload))
            elif kind == _DATA:
                answered = answered or bool(payload)
            elif kind == _HEADERS and flags & _END_STREAM and stream == self._stream:
                if not answered:
                    raise RuntimeError("the call was refused")
                return

    def _data_frames(self) -> bytes:
        """The message in frames of the size that every server takes."""
        parts = [self._message[start : start + 16_384] for start in range(0, len(self._message), 16_384)]
        return b"".join(
            _frame(_DATA, _END_STREAM if place == len(parts) - 1 else 0, self._stream, part)
            for place, part in enumerate(parts)
        )

    def _next_frame(self) -> tuple[int, int, int, bytes]:
        while len(self._unread) < 9 or len(self._unread) < 9 + int.from_bytes(self._unread[:3], "big"):
            more = self._socket.recv(1 << 18)
            if not more:
                raise RuntimeError("the server closed the connection")
            self._unread += more
        end = 9 + int.from_bytes(self._unread[:3], "big")
        head, payload, self._unread = self._unread[:9], self._unread[9:end], self._unread[end:]
        return head[3], head[4], int.from_bytes(head[5:9], "big") & 0x7FFFFFFF, payload


def call_until(client: WireClient, until: float) -> list[float]:
    """Seconds of each call until `time.perf_counter()` is `until`."""
    times = []
    while (start := time.perf_counter()) < until:
        client.call()
        times.append(time.perf_counter() - start)
    return times


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + payload


def _encoded(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), bytes((len(value),)) + value.encode()) for name, value in headers.items()]


def _literal(name: bytes) -> bytes:
    """HPACK's plainest form: a literal field, without indexing."""
    return b"\0" + bytes((len(name),)) + name
