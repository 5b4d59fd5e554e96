from __future__ import annotations

import torch

from showtell.decoders.dropout import VariationalDropout


def test_a_feature_is_dropped_at_all_positions_or_kept_and_scaled_at_all() -> None:
    torch.manual_seed(0)
    outputs = VariationalDropout(0.25)(torch.ones(40, 5, 50))
    assert torch.equal(outputs, outputs[:, :1].expand(-1, 5, -1))
    torch.testing.assert_close(outputs.unique(), torch.tensor([0, 1 / 0.75]))
    assert abs((outputs[:, 0] == 0).float().mean().item() - 0.25) < 0.04
    assert not torch.equal(outputs[0], outputs[1])


def test_nothing_is_dropped_when_answering() -> None:
    inputs = torch.randn(2, 3, 4)
    assert torch.equal(VariationalDropout(0.5).eval()(inputs), inputs)
