"""tripoint.toml as frozen, typed values: filled once, checked before any work, never corrected silently."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

from pipeline.core.artifact import TFJS_PRECISIONS, TFLITE_PRECISIONS, Precision
from pipeline.core.errors import UsageError

FILE_NAME = "tripoint.toml"
CALIBRATED_FILE = "tolerances.toml"

Engine = Literal["auto", "docker", "native", "embedded"]
EdgeLibrary = Literal["tflite-runtime", "litert"]
Backend = Literal["wasm", "webgl", "cpu", "webgpu"]

_USUAL_TFLITE = (Precision.FLOAT32, Precision.FLOAT16, Precision.DYNAMIC, Precision.INT8)
_USUAL_TFJS = (Precision.FLOAT32, Precision.FLOAT16, Precision.UINT8)


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of tripoint.toml."""


class StoreConfig(_Table, frozen=True):
    """`wait` for another process that works on the same model, rather than fail."""

    path: str = ".tripoint"
    build: str = "build"
    keep: int = 5
    wait: bool = True


class ModelConfig(_Table, frozen=True):
    """What one model has of its own. `file` is relative to tripoint.toml.

    `keep_float` names layers that stay in float where others are quantized. `tflite` and `tfjs` are the precisions that
    it is converted to; None means those of `convert`.
    """

    file: str | None = None
    epochs: int | None = None
    seed: int | None = None
    keep_float: tuple[str, ...] = ()
    tflite: tuple[Precision, ...] | None = None
    tfjs: tuple[Precision, ...] | None = None


class ExportConfig(_Table, frozen=True):
    """`input_checks` makes the serving signature refuse inputs of a wrong shape."""

    input_checks: bool = True


class ConvertConfig(_Table, frozen=True):
    tflite: tuple[Precision, ...] = _USUAL_TFLITE
    tfjs: tuple[Precision, ...] = _USUAL_TFJS
    lowering: bool = True
    representative_samples: int = 200


class ServeConfig(_Table, frozen=True):
    """`image` None means tensorflow/serving at the TensorFlow version in use; `cpus` 0 means all."""

    engine: Engine = "auto"
    image: str | None = None
    ready_within_seconds: float = 120.0
    memory_mb: int = 4096
    cpus: float = 0.0


class EdgeConfig(_Table, frozen=True):
    """`python` counts from the folder that holds `edge/`; `command` goes before it: `["ssh", "pi@device"]`."""

    libraries: tuple[EdgeLibrary, ...] = ("tflite-runtime", "litert")
    threads: int = 1
    python: str = "edge/.venv/bin/python"
    command: tuple[str, ...] = ()


class BrowserConfig(_Table, frozen=True):
    backends: tuple[Backend, ...] = ("wasm", "webgl", "cpu")
    executable: str | None = None
    answer_within_seconds: float = 120.0


class ParityConfig(_Table, frozen=True):
    batch_sizes: tuple[int, ...] = (1, 7, 64)


class ToleranceConfig(_Table, frozen=True):
    """Overrides for one format and precision, `[tolerances."tflite/int8"]`, or for one output of it,
    `[tolerances."tflite/int8/probabilities"]`. The reason is not optional.
    """

    reason: str
    atol: float | None = None
    rtol: float | None = None
    sqnr_db: float | None = None
    top1: float | None = None
    accuracy_drop: float | None = None
    constant: bool | None = None


class Config(_Table, frozen=True):
    """All of tripoint.toml. `folder` is where the file was found: relative paths count from it.

    `calibrated` is the file beside it that `tripoint calibrate --write` keeps, by model.
    """

    folder: str = "."
    calibrated: dict[str, dict[str, ToleranceConfig]] = {}
    store: StoreConfig = StoreConfig()
    models: dict[str, ModelConfig] = {}
    export: ExportConfig = ExportConfig()
    convert: ConvertConfig = ConvertConfig()
    serve: ServeConfig = ServeConfig()
    edge: EdgeConfig = EdgeConfig()
    browser: BrowserConfig = BrowserConfig()
    parity: ParityConfig = ParityConfig()
    tolerances: dict[str, ToleranceConfig] = {}

    def tolerances_of(self, model: str) -> dict[str, ToleranceConfig]:
        """What was calibrated for the model, and what tripoint.toml sets, which goes over it."""
        return {**self.calibrated.get(model, {}), **self.tolerances}

    def of_model(self, model: str) -> Config:
        """The config with the precisions that the model has of its own. Doing it twice changes nothing."""
        own = self.models.get(model)
        if own is None:
            return self
        return msgspec.structs.replace(
            self,
            convert=msgspec.structs.replace(
                self.convert,
                tflite=self.convert.tflite if own.tflite is None else own.tflite,
                tfjs=self.convert.tfjs if own.tfjs is None else own.tfjs,
            ),
        )

    @property
    def store_path(self) -> Path:
        return Path(self.folder, self.store.path)

    @property
    def build_path(self) -> Path:
        return Path(self.folder, self.store.build)


def load(start: Path) -> Config:
    """The config of the nearest tripoint.toml at or above `start`, or the defaults when there is none.

    Raises UsageError for a file that is not TOML, an unknown key (the nearest known one named) or an impossible value.
    """
    for folder in (start, *start.absolute().parents):
        file = folder / FILE_NAME
        if file.is_file():
            return msgspec.structs.replace(parse(file.read_text(), folder=folder), calibrated=calibrated(folder))
    return Config(folder=str(start))


def calibrated(folder: Path) -> dict[str, dict[str, ToleranceConfig]]:
    """What tolerances.toml in the folder holds, by model; nothing when it is not there. Raises UsageError as `load`."""
    file = folder / CALIBRATED_FILE
    if not file.is_file():
        return {}
    hint = "mend it, or remove it and run `tripoint calibrate --write` again"
    try:
        found = msgspec.convert(tomllib.loads(file.read_text()), dict[str, dict[str, ToleranceConfig]])
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise UsageError(f"{CALIBRATED_FILE}: {error}", hint=hint) from error
    for lines in found.values():
        _check_lines(lines, CALIBRATED_FILE)
    return found


def parse(text: str, *, folder: Path) -> Config:
    """The config that the text of a tripoint.toml in `folder` says. Raises UsageError as `load` does."""
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{folder / FILE_NAME} is not TOML: {error}", hint="mend the line that it names") from error
    if "folder" in values:
        raise UsageError(f"{FILE_NAME}: unknown key `folder`", hint="remove it: paths count from the file itself")
    if "calibrated" in values:
        raise UsageError(f"{FILE_NAME}: unknown key `calibrated`", hint=f"remove it: {CALIBRATED_FILE} holds that")
    try:
        config = msgspec.convert({**values, "folder": str(folder)}, Config)
    except msgspec.ValidationError as error:
        raise UsageError(f"{FILE_NAME}: {error}", hint=_nearest_key(str(error))) from error
    _check(config)
    return config


def _check(config: Config) -> None:
    _check_precisions("convert", config.convert.tflite, config.convert.tfjs)
    for name, own in config.models.items():
        _check_precisions(f"models.{name}", own.tflite or (), own.tfjs or ())
    _refuse_unless(
        len(config.parity.batch_sizes) > 0 and min(config.parity.batch_sizes) > 0,
        f"parity.batch_sizes = {list(config.parity.batch_sizes)}",
        "name at least one, each 1 or more",
    )
    _check_lines(config.tolerances, FILE_NAME)


def _check_precisions(table: str, tflite: tuple[Precision, ...], tfjs: tuple[Precision, ...]) -> None:
    for key, asked, known in (("tflite", tflite, TFLITE_PRECISIONS), ("tfjs", tfjs, TFJS_PRECISIONS)):
        _refuse_unless(
            set(asked) <= set(known),
            f"{table}.{key} = {[str(precision) for precision in asked]}",
            f"choose from {', '.join(known)}",
        )


def _check_lines(lines: Mapping[str, ToleranceConfig], file: str) -> None:
    known = {f"tflite/{precision}" for precision in TFLITE_PRECISIONS}
    known |= {f"tfjs/{precision}" for precision in TFJS_PRECISIONS} | {"saved_model/float32"}
    for name in lines:
        line = "/".join(name.split("/")[:2])
        _refuse_unless(
            line in known, f'[tolerances."{name}"]', f"the known ones are {', '.join(sorted(known))}", file=file
        )


def _refuse_unless(holds: bool, what: str, mend: str, *, file: str = FILE_NAME) -> None:  # noqa: FBT001  # a sentence
    if not holds:
        raise UsageError(f"{file}: {what} cannot be", hint=mend)


def _nearest_key(message: str) -> str:
    unknown = re.search(r"unknown field `(\w+)`(?: - at `\$\.?(\w*))?", message)
    if unknown is None:
        return f"mend that value in {FILE_NAME}"
    key, table = unknown.groups()
    known = _keys_of(table)
    near = difflib.get_close_matches(key, known, n=1)
    return f"did you mean `{near[0]}`?" if near else f"known keys: {', '.join(known)}"


def _keys_of(table: str | None) -> list[str]:
    kinds: dict[str, type[_Table]] = {
        "store": StoreConfig,
        "models": ModelConfig,
        "export": ExportConfig,
        "convert": ConvertConfig,
        "serve": ServeConfig,
        "edge": EdgeConfig,
        "browser": BrowserConfig,
        "parity": ParityConfig,
        "tolerances": ToleranceConfig,
    }
    kind = kinds.get(table or "", Config)
    return [field for field in kind.__struct_fields__ if field not in ("folder", "calibrated")]
