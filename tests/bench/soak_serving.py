"""Minutes of load with a version swap every few seconds: failed requests, mixtures, memory. `make soak-serving`."""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

_BODY = b'{"inputs": [10.0, 10.0]}'
_REQUEST = b"POST /v1/models/m:predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(_BODY), _BODY)


async def _client(port: int, until: float, versions: Counter[float], faults: list[str]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        while time.monotonic() < until:
            writer.write(_REQUEST)
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
            length = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])
            body = await asyncio.wait_for(reader.readexactly(length), 30)
            if not head.startswith(b"HTTP/1.1 200 "):
                faults.append(f"{head!r} {body!r}")
                continue
            outputs = json.loads(body)["outputs"]
            told = set(outputs["version"]) | {total - 10.0 for total in outputs["sum"]}
            if len(told) != 1:
                faults.append(f"a mixture: {body!r}")
            versions[told.pop()] += 1
    except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
        faults.append(repr(error))
    finally:
        writer.close()


async def _load(port: int, connections: int, seconds: float) -> tuple[Counter[float], list[str]]:
    versions: Counter[float] = Counter()
    faults: list[str] = []
    until = time.monotonic() + seconds
    await asyncio.gather(*(_client(port, until, versions, faults) for _ in range(connections)))
    return versions, faults


def _swap(made: Path, into: Path, every: float, seconds: float, server: Any) -> list[float]:
    """Put one version after the other in place, take the oldest away, and note the memory before each swap."""
    memory = []
    started = time.monotonic()
    waiting = sorted(made.iterdir(), key=lambda path: int(path.name))
    while waiting and time.monotonic() - started + every < seconds:
        time.sleep(every)
        memory.append(server.resident_megabytes())
        waiting.pop(0).rename(into / f"{len(memory) + 1}")
        for old in sorted(into.iterdir(), key=lambda path: int(path.name))[:-3]:
            shutil.rmtree(old)
    return memory


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--every", type=float, default=10)
    parser.add_argument("--connections", type=int, default=32)
    asked = parser.parse_args()

    from concurrent.futures import ThreadPoolExecutor

    from tests.conformance.server_process import serving
    from tests.integration.serving.embedded_models import write_version_teller

    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(1) as swapping:
        base = Path(folder)
        write_version_teller(base / "m", 1)
        for version in range(2, int(asked.seconds / asked.every) + 1):
            write_version_teller(base / "made", version)
        with serving(
            {"flags": ["--model_name=m", "--model_base_path={MODELS}/m", "--enable_batching"]}, base
        ) as server:
            swaps = swapping.submit(_swap, base / "made", base / "m", asked.every, asked.seconds, server)
            versions, faults = asyncio.run(_load(server.rest, asked.connections, asked.seconds))
            memory = swaps.result()
    answers = sum(versions.values())
    print(f"{answers} answers in {asked.seconds:.0f} s from {len(versions)} versions, {len(faults)} faults")
    print("memory before each swap, MB:", " ".join(f"{megabytes:.0f}" for megabytes in memory))
    for fault in faults[:10]:
        print("FAULT", fault)
    return 1 if faults or len(versions) < len(memory) else 0


if __name__ == "__main__":
    sys.exit(main())
