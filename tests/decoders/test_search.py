from __future__ import annotations

import itertools
import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from showtell.decoders.search import Arrays, Hypothesis, beam_search, sample
from showtell.errors import InputError

START, END = 0, 1


def markov_step(tokens: np.ndarray, state: Arrays, context: Arrays) -> tuple[np.ndarray, Arrays, Arrays]:
    """The next token depends on the last one and on each input's table, `(batch, vocabulary, vocabulary)`.

    The state counts steps and keeps the tokens read, so that a trace shows which history a beam truly has.
    """
    assert tokens.dtype == np.int64
    assert {len(array) for array in context.values()} == {len(tokens)}
    history = state["history"].copy()
    steps = state["steps"]
    np.put_along_axis(history, steps[..., None], tokens[..., None], axis=-1)
    rows = np.arange(len(tokens))[:, None]
    return context["table"][rows, tokens], {"history": history, "steps": steps + 1}, {"history": history}


def inputs_of(tables: np.ndarray) -> tuple[Arrays, Arrays]:
    """The state and context from which `markov_step` starts."""
    batch = len(tables)
    state = {"history": np.full((batch, 1, 12), -1), "steps": np.zeros((batch, 1), np.int64)}
    return state, {"table": tables}


def table_of(rows: dict[int, dict[int, float]], vocabulary: int = 5) -> np.ndarray:
    """Log-probabilities from the probabilities that follow each token; what is not named is impossible."""
    table = np.full((1, vocabulary, vocabulary), -np.inf, np.float32)
    for token, following in rows.items():
        for next_token, probability in following.items():
            table[0, token, next_token] = math.log(probability)
    return table


def random_tables(seed: int, batch: int, vocabulary: int) -> np.ndarray:
    scores = np.random.default_rng(seed).normal(scale=1.5, size=(batch, vocabulary, vocabulary))
    return (scores - np.log(np.exp(scores).sum(axis=-1, keepdims=True))).astype(np.float32)


def beam(tables: np.ndarray, *, max_length: int = 6, **options) -> list[list[Hypothesis]]:
    return beam_search(markov_step, *inputs_of(tables), start=START, end=END, max_length=max_length, **options)


def draw(tables: np.ndarray, *, max_length: int = 6, **options) -> list[list[Hypothesis]]:
    return sample(markov_step, *inputs_of(tables), start=START, end=END, max_length=max_length, **options)


def words(answers: list[Hypothesis]) -> list[tuple[int, ...]]:
    return [answer.tokens for answer in answers]


# Greedily 2 then 4, but 3 leads to what is more probable as a whole.
GARDEN_PATH = table_of({0: {2: 0.6, 3: 0.4}, 2: {4: 0.55, 1: 0.45}, 3: {1: 1.0}, 4: {1: 0.6, 2: 0.4}})


def test_one_beam_takes_the_most_probable_token_each_time():
    [[answer]] = beam(GARDEN_PATH)
    assert answer.tokens == (2, 4)
    np.testing.assert_allclose(np.exp(answer.log_probs), [0.6, 0.55, 0.6], rtol=1e-6)
    assert answer.score == pytest.approx((0.6 * 0.55 * 0.6) ** (1 / 3))


def test_two_beams_leave_the_garden_path():
    [answers] = beam(GARDEN_PATH, num_beams=2, num_return_sequences=2)
    assert words(answers) == [(3,), (2, 4)]
    assert [answer.score for answer in answers] == pytest.approx([0.4**0.5, (0.6 * 0.55 * 0.6) ** (1 / 3)])


def test_the_length_penalty_chooses_between_a_short_and_a_long_answer():
    table = table_of({0: {1: 0.4, 2: 0.6}, 2: {3: 0.6, 4: 0.4}, 3: {1: 1.0}, 4: {1: 1.0}})
    assert beam(table, num_beams=3, length_penalty=0.0)[0][0].tokens == ()
    assert beam(table, num_beams=3, length_penalty=1.0)[0][0].tokens == (2, 3)


def test_an_answer_may_be_empty():
    [[answer]] = beam(table_of({0: {1: 1.0}}))
    assert (answer.tokens, answer.score, answer.log_probs.shape) == ((), 1.0, (1,))
    assert answer.trace["history"].shape == (0, 12)


def test_no_inputs_have_no_answers():
    tables = np.zeros((0, 4, 4), np.float32)
    assert beam(tables) == []
    assert draw(tables) == []


def every_ending(table: np.ndarray, max_length: int) -> dict[tuple[int, ...], list[float]]:
    """All sequences that end within `max_length` steps, with the log-probability of each step."""
    tokens = [token for token in range(len(table)) if token != END]
    endings = {}
    for length in range(max_length):
        for sequence in itertools.product(tokens, repeat=length):
            path = (START, *sequence, END)
            endings[sequence] = [float(table[a, b]) for a, b in itertools.pairwise(path)]
    return endings


@settings(max_examples=40)
@given(seed=st.integers(0, 10**6), vocabulary=st.integers(2, 4), penalty=st.sampled_from([0.0, 1.0]))
def test_beams_enough_for_everything_find_what_enumeration_finds(seed, vocabulary, penalty):
    tables = random_tables(seed, 2, vocabulary)
    for answers, table in zip(
        beam(tables, max_length=4, num_beams=200, num_return_sequences=5, length_penalty=penalty),
        tables,
        strict=True,
    ):
        endings = every_ending(table, max_length=4)
        ranks = {tokens: sum(steps) / len(steps) ** penalty for tokens, steps in endings.items()}
        best = sorted(ranks.values(), reverse=True)[:5]
        ended = [answer for answer in answers if answer.tokens in endings]
        assert len(set(words(ended))) == len(best)
        # By rank and not by words: the same transitions in another order are as probable.
        assert [ranks[answer.tokens] for answer in ended] == pytest.approx(best, rel=1e-5)
        for answer in ended:
            np.testing.assert_allclose(answer.log_probs, endings[answer.tokens], rtol=1e-6)


@given(seed=st.integers(0, 10**6), vocabulary=st.integers(2, 70))
def test_one_beam_is_an_argmax_loop(seed, vocabulary):
    tables = random_tables(seed, 1, vocabulary)
    token, expected = START, []
    while len(expected) < 6 and (token := int(tables[0, token].argmax())) != END:
        expected.append(token)
    assert beam(tables)[0][0].tokens == tuple(expected)


def plain_beam_search(table: np.ndarray, max_length: int, num_beams: int, penalty: float) -> list[float]:
    """The log-probabilities that the same search finds, one candidate at a time, without folding or stopping early."""
    live, ended = [(0.0, (START,))], []
    for _ in range(max_length):
        candidates = [
            (score + float(table[path[-1], token]), (*path, token))
            for score, path in live
            for token in range(len(table))
        ]
        candidates.sort(reverse=True)
        ended += [(s, path) for s, path in candidates[:num_beams] if path[-1] == END]
        live = [(s, path) for s, path in candidates if path[-1] != END][:num_beams]
        if len(ended) >= num_beams:
            break
    ranked = sorted(ended, key=lambda one: one[0] / (len(one[1]) - 1) ** penalty, reverse=True)
    return [score for score, _ in ranked] + [score for score, _ in live]


@settings(max_examples=60)
@given(
    seed=st.integers(0, 10**6),
    vocabulary=st.integers(2, 60),
    num_beams=st.integers(1, 5),
    penalty=st.sampled_from([-0.5, 0.0, 0.7, 1.0, 2.0]),
)
def test_the_fast_search_is_the_plain_one(seed, vocabulary, num_beams, penalty):
    table = random_tables(seed, 1, vocabulary)
    table[..., END] += 1
    table -= np.logaddexp.reduce(table, axis=-1, keepdims=True)  # else some tokens are more than certain
    wanted = min(2, num_beams)
    [found] = beam(table, num_beams=num_beams, num_return_sequences=wanted, length_penalty=penalty)
    expected = plain_beam_search(table[0], 6, num_beams, penalty)[:wanted]
    # Not the words: the same transitions in another order are as probable.
    assert [hypothesis.log_probs.sum() for hypothesis in found] == pytest.approx(expected, abs=1e-4)


def same(one: list[Hypothesis], other: list[Hypothesis]) -> None:
    assert words(one) == words(other)
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a.log_probs, b.log_probs)
        np.testing.assert_array_equal(a.trace["history"], b.trace["history"])


@settings(max_examples=40)
@given(
    seed=st.integers(0, 10**6),
    order=st.permutations(range(5)),
    options=st.sampled_from(
        [
            {},
            {"num_beams": 3, "num_return_sequences": 3},
            {"num_beams": 4, "length_penalty": 0.0, "num_return_sequences": 2},
            {"num_beams": 4, "no_repeat_ngram_size": 2, "suppress_tokens": (3,)},
        ]
    ),
)
def test_a_batch_in_any_order_gives_each_input_what_it_gets_alone(seed, order, options):
    tables = random_tables(seed, 5, 6)
    for answers, index in zip(beam(tables[list(order)], **options), order, strict=True):
        same(answers, beam(tables[index : index + 1], **options)[0])


@settings(max_examples=40)
@given(seed=st.integers(0, 10**6), order=st.permutations(range(5)), draws=st.integers(1, 3))
def test_a_batch_in_any_order_draws_for_each_input_what_it_gets_alone(seed, order, draws):
    tables = random_tables(seed, 5, 6)
    options = {"seed": seed, "num_return_sequences": draws, "top_k": 4, "top_p": 0.9, "temperature": 1.3}
    for answers, index in zip(draw(tables[list(order)], **options), order, strict=True):
        same(answers, draw(tables[index : index + 1], **options)[0])


def test_inputs_that_are_settled_leave_the_batch():
    sizes = []

    def step(tokens, state, context):
        sizes.append(len(tokens))
        return markov_step(tokens, state, context)

    short = table_of({0: {1: 1.0}})
    long = table_of({0: {2: 1.0}, 2: {3: 1.0}, 3: {1: 1.0}})
    state, context = inputs_of(np.concatenate([long, short]))
    answers = beam_search(step, state, context, start=START, end=END, max_length=6)
    assert [words(row) for row in answers] == [[(2, 3)], [()]]
    assert sizes == [2, 1, 1]


def test_the_search_stops_when_nothing_live_can_win():
    steps = []

    def step(tokens, state, context):
        steps.append(tokens.shape)
        return markov_step(tokens, state, context)

    table = table_of({0: {1: 0.9, 2: 0.1}, 2: {2: 0.5, 3: 0.5}, 3: {3: 0.5, 2: 0.5}})
    state, context = inputs_of(table)
    options = {"start": START, "end": END, "max_length": 6, "num_beams": 4, "length_penalty": 0.0}
    assert beam_search(step, state, context, **options)[0][0].tokens == ()
    assert len(steps) == 1


def test_the_search_goes_on_while_a_longer_answer_can_still_win():
    table = table_of({0: {1: 0.55, 2: 0.28, 3: 0.17}, 2: {3: 1.0}, 3: {4: 1.0}, 4: {1: 1.0}})
    assert words(beam(table, num_beams=3)[0]) == [(2, 3, 4)]


@settings(max_examples=40)
@given(seed=st.integers(0, 10**6), size=st.integers(1, 3), sampled=st.booleans())
def test_no_ngram_comes_twice(seed, size, sampled):
    tables = random_tables(seed, 3, 4)
    tables[..., END] = -8
    answers = (
        draw(tables, max_length=10, no_repeat_ngram_size=size, seed=seed)
        if sampled
        else beam(tables, max_length=10, no_repeat_ngram_size=size, num_beams=3, num_return_sequences=3)
    )
    for answer in itertools.chain.from_iterable(answers):
        ngrams = [answer.tokens[i : i + size] for i in range(len(answer.tokens) - size + 1)]
        assert len(set(ngrams)) == len(ngrams)


def test_blocking_changes_nothing_where_nothing_repeats():
    same(beam(GARDEN_PATH, num_beams=2)[0], beam(GARDEN_PATH, num_beams=2, no_repeat_ngram_size=2)[0])


def test_suppressed_tokens_are_never_chosen():
    tables = random_tables(3, 8, 6)
    answers = beam(tables, num_beams=3, num_return_sequences=3, suppress_tokens=(2, 4))
    answers += draw(tables, num_return_sequences=20, suppress_tokens=(2, 4))
    assert not {2, 4} & {token for row in answers for answer in row for token in answer.tokens}


@pytest.mark.parametrize("options", [{}, {"num_beams": 3, "num_return_sequences": 3}])
def test_where_all_is_suppressed_the_end_is_still_allowed(options):
    table = random_tables(0, 1, 4)
    [answers] = beam(table, suppress_tokens=range(4), **options)
    assert words(answers) == [()]
    assert answers[0].log_probs == table[0, START, END]
    assert words(draw(table, suppress_tokens=range(4))[0]) == [()]


@pytest.mark.parametrize("impossible", [-np.inf, np.finfo(np.float32).min, np.nan])
@pytest.mark.parametrize("num_beams", [1, 3])
def test_a_model_that_never_ends_is_answered_at_max_length(num_beams, impossible):
    table = random_tables(1, 1, 3)
    table[..., END] = impossible
    answers = beam(table, num_beams=num_beams, num_return_sequences=num_beams, max_length=5)[0]
    assert [len(answer.tokens) for answer in answers] == [5] * num_beams
    assert [answer.log_probs.shape for answer in answers] == [(5,)] * num_beams
    scores = [answer.score for answer in answers]
    assert scores == sorted(scores, reverse=True)
    assert all(0 < score < 1 for score in scores)
    assert len(draw(table, max_length=5)[0][0].tokens) == 5


def test_the_unfinished_stand_behind_what_has_ended():
    table = table_of({0: {2: 0.9, 3: 0.1}, 2: {2: 1.0}, 3: {1: 1.0}})
    assert words(beam(table, num_beams=3, num_return_sequences=2, max_length=4)[0]) == [(3,), (2, 2, 2, 2)]


def test_fewer_answers_come_back_where_no_more_exist():
    table = table_of({0: {2: 0.5, 3: 0.5}, 2: {1: 1.0}, 3: {1: 1.0}})
    assert sorted(words(beam(table, num_beams=8, num_return_sequences=8)[0])) == [(2,), (3,)]


def test_numbers_that_are_not_numbers_are_impossible():
    table = GARDEN_PATH.copy()
    table[0, 0, 2] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert beam(table, num_beams=2)[0][0].tokens == (3,)
        assert draw(table, temperature=1e-12)[0][0].tokens == (3,)


@pytest.mark.parametrize("broken", [np.nan, -np.inf, np.finfo(np.float32).min])
def test_a_broken_model_is_answered_with_a_score_of_zero(broken):
    tables = np.concatenate([np.full_like(GARDEN_PATH, broken), GARDEN_PATH])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        [[nothing], [answer]] = beam(tables, num_beams=2)
        assert (nothing.tokens, nothing.score, answer.tokens) == ((), 0.0, (3,))
        assert draw(tables)[0][0].score == 0.0


def test_the_step_keeps_its_own_arrays():
    table = random_tables(0, 1, 4)
    table[0, 2, 3] = np.nan
    before = table.copy()
    beam(table, num_beams=2, suppress_tokens=(2,), no_repeat_ngram_size=1)
    np.testing.assert_array_equal(table, before)


@settings(max_examples=40)
@given(seed=st.integers(0, 10**6), num_beams=st.integers(1, 5))
def test_traces_follow_their_words_through_the_beams(seed, num_beams):
    tables = random_tables(seed, 3, 7)
    tables[..., END] -= 2
    answers = beam(tables, num_beams=num_beams, num_return_sequences=num_beams, max_length=8)
    answers += draw(tables, num_return_sequences=num_beams, seed=seed, max_length=8)
    for answer in itertools.chain.from_iterable(answers):
        read = (START, *answer.tokens)
        assert len(answer.trace["history"]) == len(answer.tokens)
        for position, history in enumerate(answer.trace["history"]):
            assert tuple(history[: position + 1]) == read[: position + 1]
            assert (history[position + 1 :] == -1).all()


# One token, then the end, so that what is drawn first tells the distribution.
DICE = table_of({0: {1: 0.1, 2: 0.5, 3: 0.3, 4: 0.1}, 2: {1: 1.0}, 3: {1: 1.0}, 4: {1: 1.0}})


def frequencies(**options) -> list[float]:
    """How often a draw is empty, 2, 3 or 4."""
    [answers] = draw(DICE, num_return_sequences=4000, seed=7, **options)
    drawn = words(answers)
    return [drawn.count(tokens) / len(drawn) for tokens in [(), (2,), (3,), (4,)]]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [0.1, 0.5, 0.3, 0.1]),
        ({"temperature": 0.5}, [1 / 36, 25 / 36, 9 / 36, 1 / 36]),
        ({"top_k": 2}, [0, 5 / 8, 3 / 8, 0]),
        ({"top_k": 100}, [0.1, 0.5, 0.3, 0.1]),
        ({"top_p": 0.4}, [0, 1, 0, 0]),
        ({"top_p": 0.7}, [0, 5 / 8, 3 / 8, 0]),
        ({"top_p": 0.85}, [1 / 9, 5 / 9, 3 / 9, 0]),
        ({"top_k": 2, "top_p": 0.6}, [0, 1, 0, 0]),
        ({"suppress_tokens": (2,)}, [0.2, 0, 0.6, 0.2]),
    ],
)
def test_draws_are_as_frequent_as_they_are_probable(options, expected):
    measured = frequencies(**options)
    np.testing.assert_allclose(measured, expected, atol=0.03)
    assert [f == 0 for f in measured] == [p == 0 for p in expected]


def test_of_equally_probable_tokens_top_p_keeps_only_enough():
    table = table_of({0: {2: 0.25, 3: 0.25, 4: 0.25, 5: 0.25}, **{t: {1: 1.0} for t in range(2, 6)}}, 6)
    [answers] = draw(table, num_return_sequences=200, top_p=0.5)
    assert set(words(answers)) == {(2,), (3,)}


@given(seed=st.integers(0, 10**6))
def test_drawing_from_the_one_most_probable_token_is_greedy(seed):
    tables = random_tables(seed, 2, 6)
    for drawn, greedy in zip(draw(tables, top_k=1, seed=seed), beam(tables), strict=True):
        same(drawn, greedy)


def test_log_probs_are_the_models_own_at_any_temperature():
    [answers] = draw(GARDEN_PATH, num_return_sequences=20, temperature=3.0, top_k=3)
    for answer in answers:
        path = (START, *answer.tokens, END)[: len(answer.log_probs) + 1]
        np.testing.assert_array_equal(answer.log_probs, [GARDEN_PATH[0, a, b] for a, b in itertools.pairwise(path)])


def test_a_seed_draws_the_same_again_and_another_seed_something_else():
    tables = random_tables(5, 2, 30)
    first, again, other = (draw(tables, max_length=10, seed=seed)[0] for seed in (1, 1, 2))
    same(first, again)
    assert words(first) != words(other)


@pytest.mark.parametrize(
    ("search", "option", "value"),
    [
        (beam, "max_length", 0),
        (beam, "num_beams", 0),
        (beam, "num_beams", 2.5),
        (beam, "num_return_sequences", 0),
        (beam, "num_return_sequences", 2),
        (beam, "no_repeat_ngram_size", -1),
        (beam, "length_penalty", math.nan),
        (draw, "max_length", 0),
        (draw, "num_return_sequences", 0),
        (draw, "no_repeat_ngram_size", -1),
        (draw, "temperature", 0.0),
        (draw, "temperature", -1.0),
        (draw, "temperature", math.inf),
        (draw, "top_k", -1),
        (draw, "top_p", 0.0),
        (draw, "top_p", 1.1),
        (draw, "top_p", math.nan),
        (draw, "seed", -1),
    ],
)
def test_an_impossible_option_is_an_input_error_that_names_it(search, option, value):
    with pytest.raises(InputError, match=rf"^{option}={value!r} cannot be used; .+ would be accepted\.$"):
        search(GARDEN_PATH, **{option: value})
