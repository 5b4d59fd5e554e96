from __future__ import annotations

import unicodedata
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from showtell.errors import InputError
from showtell.pipelines.media.text import (
    check_text,
    check_words,
    join_words,
    split_sentences,
    split_words,
    word_splitter,
)

SPLITTER = word_splitter()

# What has made tokenizers lose count: wide and joined characters, marks, odd white space, halves of surrogate pairs.
AWKWARD = [
    "\ufeff", "\0", "\u200b", "\u200d", "\u200c", "\xa0", "\u3000", "\u2028", "\x85", "\r\n", "\t", "\u202e", "\u2066",
    "\xad", "e\u0301", "\u0301", "\u1e9e", "\u0130", "\ufb01", "\uff2c\uff4f", "\u0928\u092e\u0938\u094d\u0924\u0947",
    "\u05e9\u05dc\u05d5\u05dd", "\u0645\u06cc\u200c\u062e", "\u6771\u4eac", "\U0001f468\u200d\U0001f469",
    "\U0001f44d\U0001f3fd", "\U0001f1ec\U0001f1e7", "\U00020000", "\ud800", "\udfff", "\ud83d\ude00", "n't", "'s",
    "\u2019", "U.S.", "...", "--", "``", "<br />", "@a", "#b", "http://a.b/", "1,2", "C$", "Mr. ", "W. ", "-", "&", ".",
    " ", "A", "b",
]  # fmt: skip
texts = st.lists(st.sampled_from(AWKWARD) | st.characters(), max_size=40).map("".join)


def words_of(text: str) -> list[str]:
    return split_words(text, SPLITTER).words


def sentences_of(text: str) -> list[str]:
    words = split_words(text, SPLITTER)
    return [" ".join(words.words[sentence]) for sentence in split_sentences(words)]


@given(texts)
def test_every_word_stands_where_its_offsets_say(text):
    words = split_words(text, SPLITTER)
    assert [text[start:end] for start, end in words.offsets] == words.words
    assert all(start < end for start, end in words.offsets)
    assert all(before[1] <= after[0] for before, after in pairwise(words.offsets))


@given(texts)
def test_nothing_but_white_space_and_invisible_marks_is_left_out(text):
    words, left = split_words(text, SPLITTER), list(text)
    for start, end in words.offsets:
        left[start:end] = [" "] * (end - start)
    assert all(character.isspace() or unicodedata.category(character) in ("Cc", "Cf") for character in left)
    assert not any(character.isspace() for word in words.words if not word.startswith("<br") for character in word)


@given(texts.filter(lambda text: not any("\ud800" <= character <= "\udfff" for character in text)))
def test_the_tokenizer_counts_characters_as_python_does(text):
    pieces = SPLITTER.pre_tokenize_str(text)
    assert all(text[start:end] == piece for piece, (start, end) in pieces)


@given(texts, st.integers(1, 5))
def test_sentences_are_all_words_in_order_and_none_is_too_long(text, longest):
    words = split_words(text, SPLITTER)
    sentences = split_sentences(words, longest=longest)
    assert [word for sentence in sentences for word in words.words[sentence]] == words.words
    assert all(1 <= sentence.stop - sentence.start <= longest for sentence in sentences)


@given(st.lists(texts))
def test_words_that_were_split_before_stand_in_a_text_too(given_words):
    words = join_words(given_words)
    assert words.words == given_words == [words.text[start:end] for start, end in words.offsets]
    assert [word for sentence in split_sentences(words) for word in words.words[sentence]] == given_words


def test_an_empty_word_that_was_split_before_ends_no_sentence_and_breaks_none():
    assert split_sentences(join_words(["Stop", ".", "", "a"])) == [slice(0, 2), slice(2, 4)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("EU rejects German call.", "EU rejects German call ."),
        ("I can't, DON'T and won\u2019t", "I ca n't , DO N'T and wo n\u2019t"),
        ("O'Brien's and we're, he'd've", "O'Brien 's and we 're , he 'd 've"),
        ("The U.S. and U.S.-led J.R.R. Tolkien", "The U.S. and U.S.-led J.R.R. Tolkien"),
        ("Mr. Smith met George W. Bush.", "Mr. Smith met George W. Bush ."),
        ("Plan B. It failed, said the Rep.", "Plan B. It failed , said the Rep ."),
        ("1,196.35 at 10:30 on 1996-08-22, 1/2.", "1,196.35 at 10:30 on 1996-08-22 , 1/2 ."),
        ("well-known AT&T paid C$27 or $5", "well-known AT&T paid C$ 27 or $ 5"),
        ("great.But no/yes (really)", "great . But no / yes ( really )"),
        ("@user's #tag, see http://a.b/c?d=e.", "@user 's #tag , see http://a.b/c?d=e ."),
        ("Wait... -- ``no'' !!", "Wait ... -- `` no '' ! !"),
        ("\ufeffLondon\0Paris\u200bRome\u3000Bonn", "London Paris Rome Bonn"),
        (
            "\u0928\u092e\u0938\u094d\u0924\u0947 e\u0301te\u0301",
            "\u0928\u092e\u0938\u094d\u0924\u0947 e\u0301te\u0301",
        ),
        ("\u6771\u4eac\u306bLondon", "\u6771 \u4eac \u306b London"),
        ("\U0001f44d\U0001f3fd\u2764\ufe0f", "\U0001f44d\U0001f3fd \u2764\ufe0f"),
        ("Lon\ud800don", "Lon \ud800 don"),
        ("", ""),
        (" \n\u200b ", ""),
    ],
)
def test_words_are_split_as_in_conll_2003(text, words):
    assert words_of(text) == words.split(" ") if words else words_of(text) == []


def test_a_line_break_of_html_is_one_word_and_ends_a_sentence():
    assert sentences_of("Good film.<br /><br />I liked it") == ["Good film . <br />", "<br />", "I liked it"]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ('He said "Stop." Then he left.', ['He said " Stop . "', "Then he left ."]),
        ("Wait... what? (Yes!) Mr. X of the U.S. Army.", ["Wait ... what ?", "( Yes ! )", "Mr. X of the U.S. Army ."]),
        ("John Smith\nIBM\nParis", ["John Smith", "IBM", "Paris"]),
        (f"{'words ' * 10}in New\nYork", [f"{'words ' * 10}in New York"]),
        (f"{'words ' * 10}in New\n\nYork", [f"{'words ' * 10}in New", "York"]),
        ("\u6771\u4eac\u3002\u5927\u962a\u3002", ["\u6771 \u4eac \u3002", "\u5927 \u962a \u3002"]),
        ("", []),
    ],
)
def test_sentences_end_where_a_reader_would_end_them(text, sentences):
    assert sentences_of(text) == sentences


def test_a_sentence_without_end_is_divided_at_a_comma():
    words = join_words(["a"] * 5 + [","] + ["b"] * 5)
    assert split_sentences(words, longest=8) == [slice(0, 6), slice(6, 11)]
    assert split_sentences(words, longest=4) == [slice(0, 4), slice(4, 8), slice(8, 11)]


@pytest.mark.parametrize(
    "unit",
    [
        "Lon don. ", "x", "a-.", "a.", "a.b", "n't", "'", ")", "http://", "\u0301", "\u6771", "\ud800", "\u200d",
        "\U0001f1ec", "\U0001f468\u200d", ".\n",
    ],
)  # fmt: skip
def test_a_text_of_600_000_characters_is_read_to_its_end(unit):
    text = unit * (600_000 // len(unit))
    words = split_words(text, SPLITTER)
    assert words.offsets[-1][1] == len(text.rstrip())
    assert split_sentences(words)[-1].stop == len(words.words)


def test_the_splitter_travels_in_a_tokenizer():
    tokenizer = Tokenizer(WordLevel({"<unk>": 0}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = SPLITTER
    opened = Tokenizer.from_str(tokenizer.to_str())
    assert split_words("I can't.", opened.pre_tokenizer) == split_words("I can't.", SPLITTER)


@pytest.mark.parametrize("source", ["", " ", "a\ud800", "x" * 10_000])
def test_any_str_is_a_text(source):
    assert check_text(source) is source


@pytest.mark.parametrize(
    ("source", "named"),
    [(None, "None"), (5, "int"), (float("nan"), "float"), (b"text", "bytes"), (["a", ["b"]], "list"), ({}, "dict")],
)
def test_anything_else_is_an_input_error(source: Any, named: str):
    with pytest.raises(InputError, match=rf"{named}.*; a str would be accepted\.$"):
        check_text(source)


@pytest.mark.parametrize("source", [None, "a text", 5, [["a"]], ["a", None], ["a", b"b"], {"a": 1}])
def test_what_is_no_list_of_words_is_an_input_error(source: Any):
    with pytest.raises(InputError, match=r"a list of str would be accepted\.$"):
        check_words(source)
    assert check_words(("a", "b")) == ["a", "b"]
