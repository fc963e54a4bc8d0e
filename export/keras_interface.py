"""How to call any Keras model by name: what it takes and gives, under names that every format keeps.

Names in a signature are made of letters, digits and underscores: TensorFlow changes others on their way, each
converter in its own manner. A name that is not such is changed here, once, and the change is kept to be told.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from export.keras_batch import is_sequential, open_sizes
from pipeline.core.errors import ModelFailed
from pipeline.core.signature import TensorSpec

_FLOAT = "float32"


@dataclass(frozen=True, kw_only=True, eq=False)
class KerasInterface:
    """`inputs` in the model's own order. `call` takes tensors by input name and gives them by output name.

    `renamed` has the model's own name for each input whose name was changed. `assumed` names the inputs whose dtype the
    model does not say.
    """

    inputs: tuple[TensorSpec, ...]
    call: Callable[[Mapping[str, Any]], dict[str, Any]]
    renamed: Mapping[str, str]
    assumed: tuple[str, ...] = ()


def interface_of(model: Any, *, samples: Sequence[TensorSpec] = ()) -> KerasInterface:
    """The interface of a built model of Keras 3 or tf-keras, of any style.

    `samples` say what a subclassed model takes, which knows the shape of its first argument only: the types of its
    inputs, by name, and all of several arguments. Without them float32 is assumed. Raises ModelFailed for a model that
    does not know its inputs, and for sparse or ragged ones.
    """
    given = {spec.name: spec for spec in samples}
    structure, specs, own_names, arguments = _declared(model) or _by_argument(model, given) or _built(model, given)

    def call(tensors: Mapping[str, Any]) -> dict[str, Any]:
        feed = _filled(structure, lambda leaf: tensors[leaf.name])
        training = {"training": False} if _takes_training(model) else {}
        answers = model(**feed, **training) if arguments else model(feed, **training)
        return named_answers(answers, getattr(model, "output_names", None) or ())

    return KerasInterface(
        inputs=specs,
        call=call,
        renamed={spec.name: own for spec, own in zip(specs, own_names, strict=True) if spec.name != own},
        assumed=() if _declared(model) else tuple(spec.name for spec in specs if spec.name not in given),
    )


@dataclass(frozen=True, kw_only=True)
class _Leaf:
    """Stands in the structure of inputs for the tensor of that name."""

    name: str


def _declared(model: Any) -> tuple[Any, tuple[TensorSpec, ...], list[str], bool] | None:
    """Of a functional or Sequential model: the structure of its inputs, as it was given to `keras.Model`."""
    tensors = list(getattr(model, "inputs", None) or ())
    if not tensors:
        return None
    own_names = [tensor.name.partition(":")[0] for tensor in tensors]
    names = legal_names(own_names)
    by_tensor = {id(tensor): name for tensor, name in zip(tensors, names, strict=True)}
    specs = tuple(_spec_of(model, tensor, name) for tensor, name in zip(tensors, names, strict=True))
    structure = tensors[0] if is_sequential(model) else model.input
    return _filled(structure, lambda tensor: _Leaf(name=by_tensor[id(tensor)])), specs, own_names, False


def _spec_of(model: Any, tensor: Any, name: str) -> TensorSpec:
    import tensorflow as tf

    if getattr(tensor, "sparse", False) or getattr(tensor, "ragged", False):
        raise ModelFailed(
            f"input `{name}` of the model `{model.name}` is sparse or ragged",
            hint="only dense tensors reach every target: put a layer in front that makes it dense",
        )
    if tensor.shape is None or getattr(tensor.shape, "rank", 0) is None:
        raise ModelFailed(f"input `{name}` is of unknown rank", hint="give its keras.Input a shape")
    sizes = tuple(None if size is None else int(size) for size in tensor.shape)
    return TensorSpec(name=name, dtype=tf.as_dtype(tensor.dtype).name, shape=open_sizes(model, sizes))


def _by_argument(
    model: Any, given: Mapping[str, TensorSpec]
) -> tuple[Any, tuple[TensorSpec, ...], list[str], bool] | None:
    """Of a subclassed model that takes several arguments: Keras keeps the shape of the first one only."""
    parameters = inspect.signature(model.call).parameters.values()
    needed = [one.name for one in parameters if one.default is one.empty and one.kind is one.POSITIONAL_OR_KEYWORD]
    if len(needed) < 2:
        return None
    if not set(needed) <= set(given):
        raise ModelFailed(
            f"the model `{model.name}` is called with {', '.join(needed)}, and does not say of which shapes these are",
            hint=f"give --samples with an .npz that holds {', '.join(needed)}, or build the model from keras.Input",
        )
    specs = tuple(given[name] for name in needed)
    return {name: _Leaf(name=name) for name in needed}, specs, needed, True


def _built(model: Any, given: Mapping[str, TensorSpec]) -> tuple[Any, tuple[TensorSpec, ...], list[str], bool]:
    """Of a subclassed model: the shapes that it was built with, which a `.keras` file keeps."""
    config = model.get_build_config() if getattr(model, "built", False) else None
    usual = TensorSpec(name="", dtype=_FLOAT, shape=())
    if not config:
        raise ModelFailed(
            f"the model `{model.name}` does not say what its inputs are",
            hint="call it once on a batch before it is saved or returned, or build it from keras.Input",
        )
    shapes: Any = config.get("input_shape")
    arguments = shapes is None
    if shapes is None:
        shapes = {key.removesuffix("_shape"): shape for key, shape in (config.get("shapes_dict") or {}).items()}
    flat: list[tuple[str, Sequence[int | None]]] = []
    _walk(shapes, () if not _is_shape(shapes) else (_first_argument(model),), flat)
    own_names = [name for name, _ in flat]
    names = legal_names(own_names)
    specs = tuple(
        # It was built with some batch; that number means nothing.
        TensorSpec(name=name, dtype=given.get(name, usual).dtype, shape=(None, *shape[1:]))
        for name, (_, shape) in zip(names, flat, strict=True)
    )
    leaves = iter(names)
    return _shapes_filled(shapes, lambda: _Leaf(name=next(leaves))), specs, own_names, arguments


def _walk(shapes: Any, path: tuple[str, ...], flat: list[tuple[str, Sequence[int | None]]]) -> None:
    if _is_shape(shapes):
        flat.append(("_".join(path), shapes))
        return
    items = shapes.items() if isinstance(shapes, Mapping) else ((f"input_{at}", one) for at, one in enumerate(shapes))
    for key, below in items:
        _walk(below, (*path, str(key)), flat)


def _shapes_filled(shapes: Any, leaf: Callable[[], Any]) -> Any:
    if _is_shape(shapes):
        return leaf()
    if isinstance(shapes, Mapping):
        return {key: _shapes_filled(below, leaf) for key, below in shapes.items()}
    return [_shapes_filled(below, leaf) for below in shapes]


def _is_shape(value: Any) -> bool:
    return isinstance(value, Sequence) and all(size is None or isinstance(size, int) for size in value)


def _first_argument(model: Any) -> str:
    return next(iter(inspect.signature(model.call).parameters), "input")


def _takes_training(model: Any) -> bool:
    parameters = inspect.signature(model.call).parameters.values()
    return any(one.name == "training" or one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters)


def _filled(structure: Any, leaf: Callable[[Any], Any]) -> Any:
    """The nested dicts, lists and tuples with every leaf replaced."""
    if isinstance(structure, Mapping):
        return {key: _filled(below, leaf) for key, below in structure.items()}
    if isinstance(structure, list):
        return [_filled(below, leaf) for below in structure]
    if isinstance(structure, tuple):
        return tuple(_filled(below, leaf) for below in structure)
    return leaf(structure)


def named_answers(answers: Any, own_names: Sequence[str]) -> dict[str, Any]:
    """Whatever a model returned, flat and by legal names: a dictionary's keys, else the model's own output names."""
    flat: list[tuple[str, Any]] = []
    _flatten(answers, (), flat)
    if isinstance(answers, Mapping) or len(own_names) != len(flat):
        names = [name or "output" for name, _ in flat]
    else:
        names = list(own_names)
    return dict(zip(legal_names(names), (tensor for _, tensor in flat), strict=True))


def _flatten(answers: Any, path: tuple[str, ...], flat: list[tuple[str, Any]]) -> None:
    if isinstance(answers, Mapping):
        for key, below in answers.items():
            _flatten(below, (*path, str(key)), flat)
    elif isinstance(answers, list | tuple):
        for position, below in enumerate(answers):
            _flatten(below, (*path, f"output_{position}" if not path else str(position)), flat)
    elif answers is not None:
        flat.append(("_".join(path), answers))


def legal_names(names: Sequence[str]) -> list[str]:
    """Each name as an identifier of ASCII letters, digits and underscores, and all of them different."""
    legal: list[str] = []
    for name in names:
        plain = re.sub(r"[^A-Za-z0-9_]", "_", name).lstrip("_") or "tensor"
        plain = f"t_{plain}" if plain[0].isdigit() else plain
        candidate, count = plain, 1
        while candidate in legal:
            count += 1
            candidate = f"{plain}_{count}"
        legal.append(candidate)
    return legal
