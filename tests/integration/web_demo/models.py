"""What `make_models.py` wrote, read back."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from safetensors.numpy import load_file

from pipeline.core.artifact import Artifact, Format, Precision
from pipeline.core.signature import Signature, Tensors
from tests.integration.web_demo.files import ANSWERS_FILE, SAMPLES_FILE, SIGNATURE_FILE


@dataclass(frozen=True, kw_only=True, eq=False)
class TestModel:
    """A converted model, samples for it, and what TensorFlow answers to them."""

    __test__ = False

    folder: Path
    signature: Signature
    samples: Tensors
    want: Tensors

    @staticmethod
    def read(folder: Path) -> TestModel:
        return TestModel(
            folder=folder,
            signature=Signature.from_json(json.loads((folder / SIGNATURE_FILE).read_text())),
            samples=load_file(folder / SAMPLES_FILE),
            want=load_file(folder / ANSWERS_FILE),
        )

    def artifact(self, precision: Precision = Precision.FLOAT32, *, path: Path | None = None) -> Artifact:
        """The TF.js artifact, or what stands in `path` under its name."""
        path = self.folder / precision if path is None else path
        files = sorted(path.iterdir())
        return Artifact(
            model=self.folder.name,
            format=Format.TFJS,
            precision=precision,
            path=path,
            signature=self.signature,
            digest=hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest(),
            made_from=None,
            size_bytes=sum(file.stat().st_size for file in files),
        )
