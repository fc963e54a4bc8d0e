"""Predict on a loaded version: the checks between a request, whichever door it came by, and a run of the session."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from serving.embedded.signatures import DEFAULT_SIGNATURE, SignatureSpec
from serving.embedded.status import Code, ServingError, invalid
from serving.embedded.tensors import MalformedTensor, array_from_proto

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from serving.embedded.servable import Plan, Servable


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """One run that has passed all checks: the plan, its inputs in order, and what its outputs are called."""

    plan: Plan
    arrays: Sequence[np.ndarray]
    aliases: tuple[str, ...]

    def run(self) -> list[np.ndarray]:
        return self.plan.run(self.arrays)


def prepare_predict(
    servable: Servable,
    signature: SignatureSpec,
    inputs: Mapping[str, np.ndarray],
    output_filter: Sequence[str] = (),
    *,
    given: Mapping[str, object] | None = None,
) -> Call:
    """Check a Predict against its signature. Raises ServingError.

    `given` are all the inputs that the request names, where `inputs` holds only those that the signature has.
    """
    named = inputs if given is None else given
    _check_names(signature, named)
    feeds, arrays = [], []
    for alias, spec in signature.inputs.items():
        array = inputs.get(alias)
        if array is None:
            array = _default(signature, alias, named)
        feeds.append((alias, spec))
        arrays.append(array)
    aliases = _wanted_outputs(signature, output_filter)
    plan = servable.plan(feeds, [signature.outputs[alias].tensor for alias in aliases])
    plan.check(arrays)
    return Call(plan=plan, arrays=arrays, aliases=aliases)


def predict_signature(servable: Servable, name: str) -> SignatureSpec:
    """The signature that a Predict over gRPC names. Raises ServingError."""
    signature = servable.signatures.get(name or DEFAULT_SIGNATURE)
    if signature is None:
        raise ServingError(Code.FAILED_PRECONDITION, f'Serving signature key "{name or DEFAULT_SIGNATURE}" not found.')
    return signature


def _check_names(signature: SignatureSpec, inputs: Mapping[str, object]) -> None:
    """Raise INVALID_ARGUMENT where the number of inputs cannot be right."""
    want, got = set(signature.inputs), set(inputs)
    if len(got) > len(want) or (len(got) < len(want) and not signature.defaults):
        raise invalid(
            f"input size does not match signature: {len(got)}!={len(want)} len({_set(got)}) != len({_set(want)}). "
            f"Sent extra: {_set(got - want)}. Missing but required: {_set(want - got)}."
        )


def arrays_from_protos(protos: Mapping[str, Any], aliases: Iterable[str]) -> dict[str, np.ndarray]:
    """The tensors of a request that a signature names. Raises INVALID_ARGUMENT for one that is no tensor."""
    arrays = {}
    for alias in aliases:
        if alias in protos:
            try:
                arrays[alias] = array_from_proto(protos[alias])
            except MalformedTensor:
                raise invalid(f"tensor parsing error: {alias}") from None
    return arrays


def _default(signature: SignatureSpec, alias: str, inputs: Mapping[str, object]) -> np.ndarray:
    proto = signature.defaults.get(alias)
    if proto is None:
        raise invalid(
            f"Signature input alias: {alias}(feed name: {signature.inputs[alias].tensor}) not found in request and no "
            f"default value provided. Inputs expected to be in the request {_set(inputs)}, or default input alias "
            f"set: {','.join(sorted(signature.defaults))}"
        )
    return array_from_proto(proto)


def _wanted_outputs(signature: SignatureSpec, output_filter: Sequence[str]) -> tuple[str, ...]:
    if not output_filter:
        return tuple(signature.outputs)
    seen: set[str] = set()
    for alias in output_filter:
        if alias not in signature.outputs:
            raise invalid(
                f"output tensor alias not found in signature: {alias} Outputs expected to be in the set "
                f"{_set(signature.outputs)}."
            )
        if alias in seen:
            raise invalid(f"duplicate output tensor alias: {alias}")
        seen.add(alias)
    return tuple(output_filter)


def _set(names: Iterable[str]) -> str:
    return "{" + ",".join(sorted(names)) + "}"
