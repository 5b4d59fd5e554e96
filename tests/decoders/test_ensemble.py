"""An ensemble is the mean of its members, and each of them learns as it would alone."""

from __future__ import annotations

import torch

from showtell.decoders.classifier import Classifier
from showtell.decoders.ensemble import Ensemble
from showtell.memory import Memory

SHAPE = {"memory_width": 6, "labels": ["no", "perhaps", "yes"], "hidden_size": 4, "attention_size": 3, "dropout": 0.0}


def memory() -> Memory:
    torch.manual_seed(1)
    return Memory(torch.randn(3, 5, 6), torch.arange(5) < torch.tensor([[5], [2], [4]]))


def ensemble(members: int = 3) -> Ensemble:
    torch.manual_seed(0)
    return Ensemble(members=members, **SHAPE).eval()


@torch.no_grad()
def test_an_answer_is_the_mean_of_the_members_probabilities_and_weights() -> None:
    together = ensemble()
    answers = [member.answer(memory()) for member in together.members if isinstance(member, Classifier)]
    assert not torch.allclose(answers[0]["log_probs"], answers[1]["log_probs"])
    answer = together.answer(memory())
    mean = torch.stack([one["log_probs"].exp() for one in answers]).mean(dim=0)
    torch.testing.assert_close(answer["log_probs"].exp(), mean)
    torch.testing.assert_close(answer["attention"], torch.stack([one["attention"] for one in answers]).mean(dim=0))


@torch.no_grad()
def test_an_ensemble_of_one_is_its_member() -> None:
    alone = ensemble(1)
    [member] = alone.members
    assert isinstance(member, Classifier)
    torch.testing.assert_close(alone.answer(memory()), member.answer(memory()))


def test_a_member_s_gradient_is_that_which_it_has_alone() -> None:
    together, targets = ensemble(), torch.tensor([0, 1, 2])
    logits, _ = together(memory())
    assert logits.shape == (3, 3, 3)
    sum(torch.nn.functional.cross_entropy(one, targets) for one in logits).backward()  # pyright: ignore[reportAttributeAccessIssue]
    gradients = [parameter.grad for parameter in together.members[1].parameters()]
    member = ensemble().members[1]
    torch.nn.functional.cross_entropy(member(memory())[0], targets).backward()
    for parameter, gradient in zip(member.parameters(), gradients, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)
