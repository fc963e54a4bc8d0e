"""Sends random requests at both doors of the embedded server and says what came back. `make fuzz-serving`."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--model", help="a folder of versions to add to the built-in models")
    asked = parser.parse_args()

    from tests.conformance.fuzzing import Fuzzer
    from tests.conformance.server_process import serving
    from tests.integration.serving.embedded_models import write_convolution, write_version_teller

    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        write_version_teller(base / "m", 1)
        write_convolution(base / "conv")
        names = ["m", "conv"]
        if asked.model:
            model = Path(asked.model).resolve()
            (base / model.name).symlink_to(model)
            names.append(model.name)
        config = "model_config_list {" + "".join(
            f'config {{ name: "{name}" base_path: "{base}/{name}" model_platform: "tensorflow" }}' for name in names
        )
        settings = {"flags": ["--model_config_file={MODELS}/c.txt"], "files": {"c.txt": config + "}"}}
        with serving(settings, base) as server:
            targets = [(name, ["serving_default", "nope"]) for name in [*names, "nobody"]]
            fuzzer = Fuzzer(server, targets, asked.seed)
            print(f"seed {asked.seed}")
            for part in range(10):
                fuzzer.rest(asked.requests // 20)
                fuzzer.grpc(asked.requests // 20)
                print(
                    f"{fuzzer.findings.requests:6d} requests, {server.resident_megabytes():.0f} MB, "
                    f"{len(fuzzer.findings.faults)} faults",
                    flush=True,
                )
                if not server.is_running:
                    print(f"the server died in part {part}: {server.log.read_text()[-3000:]}")
                    return 1
    print(dict(fuzzer.findings.statuses.most_common()))
    for fault in fuzzer.findings.faults[:20]:
        print("FAULT", fault)
    return 1 if fuzzer.findings.faults else 0


if __name__ == "__main__":
    sys.exit(main())
