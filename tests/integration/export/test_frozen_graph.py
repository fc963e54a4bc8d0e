"""One signature as a flat graph, of SavedModels as TensorFlow 1 wrote them."""

from __future__ import annotations

from pathlib import Path

import pytest

from export.frozen_graph import FrozenSignature


@pytest.fixture(scope="module")
def with_a_table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two signatures: `names` looks the best class up in a table that an initializer fills, `scores` does not."""
    import tensorflow as tf

    v1 = tf.compat.v1
    folder = tmp_path_factory.mktemp("tf1") / "estimator"
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, (None, 3), name="x")
        weights = v1.get_variable("w", initializer=[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], use_resource=True)
        scores = tf.nn.softmax(tf.matmul(x, weights))
        table = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(tf.range(2, dtype=tf.int64), tf.constant(["cat", "dog"])), ""
        )
        names = table.lookup(tf.argmax(scores, axis=-1))
        session.run([v1.global_variables_initializer(), v1.tables_initializer()])
        builder = v1.saved_model.Builder(str(folder))

        def signature(**outputs: object) -> object:
            return v1.saved_model.predict_signature_def(inputs={"x": x}, outputs=outputs)

        builder.add_meta_graph_and_variables(
            session,
            ["serve"],
            signature_def_map={"scores": signature(scores=scores), "names": signature(names=names)},
            main_op=v1.tables_initializer(),
        )
        builder.save()
    return folder


def test_a_table_of_another_signature_is_not_in_the_way(with_a_table: Path) -> None:
    """An estimator's classifier would be refused for a table that the browser never asks: guesslang was."""
    source = FrozenSignature(with_a_table, "scores")
    assert source.stands_alone
    operations = {node.op for node in source.frozen().graph.node}
    assert {"MatMul", "Softmax"} <= operations
    assert not any("Table" in operation for operation in operations)


def test_a_table_of_the_signature_itself_is_seen(with_a_table: Path) -> None:
    """Its words are in no constant: the graph would answer with nothing."""
    assert not FrozenSignature(with_a_table, "names").stands_alone
