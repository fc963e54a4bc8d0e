"""Control inputs taken out of a TF.js graph, because TF.js takes them for inputs like any other.

In TensorFlow `^node` says "after node". TF.js 4.22 drops the caret and waits for the node's first output. Behind a
Switch that is the output for "false", which never comes inside a loop; so a loop that TensorFlow has inlined, as in any
LSTM, never begins, and the model ends with "Cannot compute the outputs". Where a node has other inputs these decide
already whether it runs, and a constant is there from the start. One thing is lost with that: TF.js's Merge takes the
first input that is there, so a branch that is a constant would always win. It gets an Identity in between, that waits
for the branch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Whether these run is decided by more than their inputs' being there.
_DECIDING = frozenset({"Switch", "Merge", "Enter", "Exit", "NextIteration", "LoopCond", "Placeholder"})


def drop_control_inputs(graph: Any) -> None:
    """Change a GraphDef without functions in place; TensorFlow itself would no longer run it in the same order."""
    nodes = {node.name: node for node in graph.node}
    for merge in [node for node in graph.node if node.op == "Merge"]:
        for position, reference in enumerate(merge.input):
            branch = None if reference.startswith("^") else _branch_of_constant(nodes[_maker(reference)], nodes)
            if branch is not None:
                waiting = graph.node.add(name=f"{merge.name}/constant_{position}", op="Identity")
                waiting.attr["T"].CopyFrom(merge.attr["T"])
                waiting.input.extend([reference, branch])
                merge.input[position] = waiting.name
    kept = [_without_control_inputs(node) for node in graph.node if node.op != "NoOp"]
    del graph.node[:]
    graph.node.extend(kept)


def _without_control_inputs(node: Any) -> Any:
    data = [reference for reference in node.input if not reference.startswith("^")]
    del node.input[:]
    node.input.extend(data)
    return node


def _branch_of_constant(node: Any, nodes: Mapping[str, Any]) -> str | None:
    """What tells that the branch is taken in which a value stands that depends on nothing; None for any other value."""
    if node.op in _DECIDING:
        return None
    waits = [nodes[reference[1:]] for reference in node.input if reference.startswith("^")]
    while any(one.op == "NoOp" for one in waits):
        waits = [
            further
            for one in waits
            for further in (
                [nodes[reference.removeprefix("^")] for reference in one.input] if one.op == "NoOp" else [one]
            )
        ]
    for one in waits:
        # The pivot of a branch: an Identity of one of the Switch's two outputs.
        if one.op == "Identity" and nodes[_maker(one.input[0])].op == "Switch":
            return str(one.name)
    found = None
    for reference in node.input:
        if not reference.startswith("^"):
            maker = nodes[_maker(reference)]
            below = _branch_of_constant(maker, nodes)
            if below is None and maker.op != "Const":
                return None
            found = found or below
    return found


def _maker(reference: str) -> str:
    return reference.split(":", 1)[0]
