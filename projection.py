"""Projection: what a graph multiplies by the same weights for every token is computed once for the vocabulary.

A recurrent cell multiplies `[h, E y, z]` by its weights W. Of that product W_E (E y) depends on the token y alone: it
is a row of the table E W_E^T, to which the bias can be added too. ONNX Runtime computes the table when it opens the
graph, as it does whatever depends on weights alone, and a step looks its rows up. The saved weights stay as they are.
"""

from __future__ import annotations

from typing import Any

import onnx_ir as ir
from onnxscript.rewriter import MatchResult, RewriteRuleClassBase

# Of a table in fp32. A larger one would take more memory and more of the start than its products are worth.
MOST_TABLE_BYTES = 2**26


class LookUpProducts(RewriteRuleClassBase):
    """`[h, E y, z] W^T + b` becomes `[h, z] W_hz^T + (E W_E^T + b)_y`, where E, W and b are inputs of a graph."""

    def pattern(self, op: Any, h: Any, embedded: Any, z: Any, weight: Any, bias: Any) -> Any:
        """The product in a cell whose input begins with an embedding."""
        x = op.Concat(embedded, z, axis=-1)
        return op.Add(op.MatMul(op.Concat(h, x, axis=-1), op.Transpose(weight, perm=[1, 0])), bias)

    def check(
        self, context: Any, h: ir.Value, embedded: ir.Value, z: ir.Value, weight: ir.Value, bias: ir.Value
    ) -> MatchResult:
        """Whether the embedding is looked up, the sizes are known, and the table is not too large."""
        result, lookup = MatchResult(), embedded.producer()
        if lookup is None or lookup.op_type != "Gather" or lookup.attributes.get_int("axis", 0) != 0:
            return result.fail("The embedding is not looked up.")
        table = lookup.inputs[0]
        if not all(value is not None and value.is_graph_input() for value in (table, weight, bias)):
            return result.fail("The factors are not weights.")
        table_bytes = 4 * size(table, 0) * size(weight, 0)
        if not all(size(value, -1) for value in (h, embedded, z)) or not 0 < table_bytes <= MOST_TABLE_BYTES:
            return result.fail("The table is too large, or a size is not known.")
        return result

    def rewrite(
        self, op: Any, h: ir.Value, embedded: ir.Value, z: ir.Value, weight: ir.Value, bias: ir.Value
    ) -> ir.Value:
        """The same with the embedding's part of the product looked up."""
        lookup = embedded.producer()
        assert lookup is not None
        table, tokens = lookup.inputs
        sizes = op.Constant(value_ints=[size(value, -1) for value in (h, embedded, z)])
        of_h, of_embedded, of_z = op.Split(op.Transpose(weight, perm=[1, 0]), sizes, axis=0, _outputs=3)
        product = op.MatMul(op.Concat(h, z, axis=-1), op.Concat(of_h, of_z, axis=0))
        products = op.Add(op.MatMul(table, of_embedded), bias)
        return op.Add(product, op.Gather(products, tokens, axis=0))


def size(value: ir.Value | None, axis: int) -> int:
    """A value's size along an axis, 0 where it is not known."""
    length = value.shape[axis] if value is not None and value.shape is not None else None
    return length if isinstance(length, int) else 0


# A GRU joins its input once for two products, so what a match no longer needs is not always unused.
look_up_products = LookUpProducts.rule(remove_nodes=False)
