"""The `showtell` command: answers and errors as rows, clean messages, exit codes."""

from __future__ import annotations

import inspect
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from showtell import pipeline
from showtell.pipelines import ALIASES, MODELS, TASKS, bundled_models, pipeline_class
from showtell.pipelines.cli import HELP, NOT_ON_THE_COMMAND_LINE, app
from showtell.pipelines.image_to_text import ImageToText
from showtell.pipelines.media.text import printable
from showtell.pipelines.subtitles import to_srt, to_vtt

CAT = Path(__file__).parents[1] / "media" / "cat.jpg"


def showtell(*arguments: object, **options: Any) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], **options)


def rows(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_answers_are_json_lines_in_a_pipe(tiny: Path, photographs: list[Path]) -> None:
    result = showtell("run", "image-to-text", *photographs, "--model", tiny)
    assert result.exit_code == 0
    assert result.stderr == ""
    answers = rows(result)
    assert [answer["input"] for answer in answers] == [str(path) for path in photographs]
    for answer in answers:
        [caption] = answer["output"]
        assert caption.keys() == {"generated_text", "score"}


def test_the_bundled_model_answers_as_in_python(caption: ImageToText) -> None:
    [answer] = rows(showtell("run", "image-to-text", CAT))
    assert answer["output"][0]["generated_text"] == caption(CAT)[0]["generated_text"]


def test_a_bad_input_is_a_row_and_makes_the_exit_code_1(tiny: Path) -> None:
    result = showtell("run", "image-to-text", "missing.jpg", CAT, "http://x.org/a.jpg", "--model", tiny)
    assert result.exit_code == 1
    first, second, third = rows(result)
    assert first["error"]["type"] == "MediaError"
    assert first["error"]["message"].startswith("missing.jpg: ")
    assert second["output"]
    assert third["error"]["type"] == "InputError"


def test_inputs_come_from_arguments_a_file_and_standard_input(tiny: Path, tmp_path: Path) -> None:
    listed = tmp_path / "photographs.txt"
    listed.write_text(f"\ufeff{CAT}\n{CAT}", encoding="utf-8")
    result = showtell("run", "image-to-text", CAT, "-", "--file", listed, "--model", tiny, input=CAT.read_bytes())
    assert result.exit_code == 0
    answers = rows(result)
    assert [answer["input"] for answer in answers] == [str(CAT), "-", str(CAT), str(CAT)]
    assert all(answer["output"] == answers[0]["output"] for answer in answers)


def test_an_input_of_a_task_of_texts_is_the_text_itself(tiny_tagger: Path, tmp_path: Path) -> None:
    listed = tmp_path / "texts.txt"
    listed.write_text("\ufeffAda\r\n\n-\nIn London\u2028.", encoding="utf-8")
    given = b"Ada Lovelace\nin\tRome\n"
    result = showtell("run", "ner", "a.jpg", "-", "--file", listed, "--model", tiny_tagger, input=given)
    assert result.exit_code == 0
    texts = ["a.jpg", "Ada Lovelace", "in\tRome", "Ada", "", "-", "In London\u2028."]
    assert [row["input"] for row in rows(result)] == texts
    ner = pipeline("ner", tiny_tagger)
    for row in rows(result):
        expected = ner(row["input"])
        assert [one["word"] for one in row["output"]] == [one["word"] for one in expected]
        assert [one["score"] for one in row["output"]] == pytest.approx([one["score"] for one in expected], abs=1e-4)


def test_no_lines_have_no_answers(tiny_tagger: Path) -> None:
    result = showtell("run", "ner", "-", "--model", tiny_tagger, input=b"")
    assert (result.exit_code, result.stdout) == (0, "")


def test_text_that_no_encoding_can_write_comes_back_as_it_was(tiny_tagger: Path) -> None:
    text = "Ada \udcff \ud800"
    [row] = rows(showtell("run", "ner", text, "--model", tiny_tagger))
    assert row["input"] == text
    assert all(text[one["start"] : one["end"]] == one["word"] for one in row["output"])


def test_standard_input_that_is_no_text_is_one_clean_message(tiny_tagger: Path) -> None:
    result = showtell("run", "ner", "-", "--model", tiny_tagger, input=b"\xff")
    assert result.exit_code == 1
    assert result.stderr.startswith("standard input: this is not text in UTF-8")


def test_options_reach_the_pipeline(tiny: Path) -> None:
    [answer] = rows(
        showtell(
            "run", "image-to-text", CAT, "--model", tiny, "--num-beams", 3, "--num-return-sequences", 3,
            "--max-length", 2, "--return-attention",
        )
    )  # fmt: skip
    assert len(answer["output"]) == 3
    for caption in answer["output"]:
        words = caption["generated_text"].split()
        assert len(words) <= 2
        assert np.shape(caption["attention"]) == (len(words), 2, 2)
    drawn = [showtell("run", "image-to-text", CAT, "--model", tiny, "--do-sample", "--seed", 5) for _ in range(2)]
    assert drawn[0].stdout == drawn[1].stdout


def test_speech_is_plain_text_or_subtitles_if_asked_for(tiny_recogniser: Path) -> None:
    sound = CAT.with_name("carry.opus")
    said: Any = pipeline("asr", tiny_recogniser)(sound, return_timestamps="word")
    assert said["chunks"]
    text = showtell("run", "asr", sound, "missing.opus", "--model", tiny_recogniser, "--format", "text")
    assert (text.exit_code, text.stdout) == (1, f"{said['text']}\n\n")
    assert text.stderr.startswith("missing.opus: ") and len(text.stderr.splitlines()) == 1
    for format, write in (("srt", to_srt), ("vtt", to_vtt)):
        subtitles = showtell("run", "asr", sound, "--model", tiny_recogniser, "--format", format)
        assert (subtitles.exit_code, subtitles.stderr) == (0, "")
        assert subtitles.stdout == write(said["chunks"])
    missing = showtell("run", "asr", "missing.opus", "--model", tiny_recogniser, "--format", "srt")
    assert (missing.exit_code, missing.stdout) == (1, "")
    assert missing.stderr.startswith("missing.opus: ")


def test_every_task_answers_in_plain_text(tiny: Path, tiny_tagger: Path) -> None:
    result = showtell("run", "image-to-text", CAT, "--model", tiny, "--format", "text")
    assert result.stdout == pipeline("image-to-text", tiny)(CAT)[0]["generated_text"] + "\n"
    lines = showtell("run", "ner", "-", "--model", tiny_tagger, "--format", "text", input=b"Ada\n\nIn Rome").stdout
    assert lines.count("\n") == 3


@pytest.mark.parametrize("task", [*TASKS, *ALIASES])
def test_every_option_of_a_pipeline_s_call_is_told_by_help(task: str) -> None:
    result = showtell("run", task, "--help", env={"COLUMNS": "200"})
    assert result.exit_code == 0
    call = inspect.signature(pipeline_class(ALIASES.get(task, task)).__call__).parameters.values()
    options = [p.name for p in call if p.kind is p.KEYWORD_ONLY and p.name not in NOT_ON_THE_COMMAND_LINE]
    assert options
    for option in options:
        assert f"--{option.replace('_', '-')}" in result.stdout
        assert HELP[option].split(".")[0] in result.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["run", "image-to-text"], 2, "no inputs"),
        (["run", "image-to-text", CAT, "--num-beam", "3"], 2, "No such option"),
        (["run", "image-to-txt", CAT], 2, "No such command"),
        (["run", "image-to-text", CAT, "--runtime", "tensorflow"], 2, "tensorflow"),
        (["run", "image-to-text", CAT, "--format", "srt"], 2, "this task tells no times"),
        (["run", "asr", "a.mp3", "b.mp3", "--format", "vtt"], 2, "subtitles are of one recording"),
        (["run", "image-to-text", CAT, "--json", "--format", "text"], 2, "one of them would do"),
        (["run", "image-to-text", "--file", "nowhere.txt"], 1, "nowhere.txt"),
        (["run", "image-to-text", "--file", CAT], 1, "not text in UTF-8"),
        (["run", "image-to-text", CAT, "--model", "nowhere"], 1, "nowhere: there is no such model"),
        (["run", "image-to-text", CAT, "--num-beams", "0"], 1, "num_beams=0"),
        (["run", "image-to-text", CAT, "--threads", "0"], 1, "threads=0"),
        (["models", "--path", "nothing"], 1, "nothing: no such task or bundled model"),
        (["export", "nowhere", "out"], 1, "nowhere: there is no such model"),
    ],
)
def test_a_mistake_is_one_clean_message(arguments: list[object], code: int, message: str) -> None:
    result = showtell(*arguments, env={"COLUMNS": "200"})
    assert result.exit_code == code
    assert result.stdout == ""
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert code == 2 or len(result.stderr.splitlines()) == 1


def test_models_are_listed_with_their_size_terms_and_folder() -> None:
    result = showtell("models", env={"COLUMNS": "400"})
    assert result.exit_code == 0
    for name in bundled_models():
        config = json.loads((MODELS / name / "config.json").read_text())
        [line] = [line for line in result.stdout.splitlines() if name in line.split()[1:2]]
        for told in (config["task"], config["terms"], str(MODELS / name), " MB"):
            assert told in line


def test_a_model_s_folder_is_told_by_its_task_and_by_its_name() -> None:
    for task, name in ((task, row.default_model) for task, row in TASKS.items()):
        assert showtell("models", "--path", task).stdout == f"{MODELS / name}\n"
        assert showtell("models", "--path", name).stdout == f"{MODELS / name}\n"


def test_a_terminal_gets_a_table_and_a_bar_keeps_out_of_a_file(tiny: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "showtell", "run", "image-to-text", "--model", str(tiny)]
    assert "dog" in in_a_terminal([*command, str(CAT), "dog.jpg"]).decode()
    answers = tmp_path / "answers.jsonl"
    with answers.open("wb") as out:
        bar = in_a_terminal([*command, *[str(CAT)] * 25], stdout=out)
    assert b"image-to-text" in bar
    assert len([json.loads(line) for line in answers.read_text().splitlines()]) == 25


def test_a_terminal_shows_entities_in_colour_in_their_text(tiny_tagger: Path) -> None:
    text = "Ada Lovelace lived in London\x1b[5m."
    command = [sys.executable, "-m", "showtell", "run", "ner", "--model", str(tiny_tagger), text]
    shown = in_a_terminal(command, env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "200"}).decode()
    answer = pipeline("ner", tiny_tagger)(text)
    assert answer
    for entity in answer:
        assert re.search(rf"\x1b\[1;4;3\dm{re.escape(printable(entity['word']))}\x1b", shown)
        assert f" {entity['entity_group']} {entity['score']:.2f}" in shown
    assert "\x1b[5m" not in shown
    plain = re.sub(r"\x1b\[[\d;]*m| [A-Z]+ \d\.\d\d", "", shown)
    assert plain == f"{printable(text)}\r\n"


def in_a_terminal(command: list[str], **streams: Any) -> bytes:
    """Run a command whose streams are a terminal, but for those that are given; return what the terminal shows."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command, **{"stdout": theirs, "stderr": theirs, **streams})
    os.close(theirs)
    shown = b""
    while True:
        try:
            chunk = os.read(ours, 65536)
        except OSError:  # how Linux tells that the other end is closed
            chunk = b""
        if not chunk:
            break
        shown += chunk
    os.close(ours)
    process.wait(timeout=60)
    return shown


def test_a_reader_that_leaves_early_draws_no_complaint(tiny: Path) -> None:
    command = [sys.executable, "-m", "showtell", "run", "image-to-text", "--model", str(tiny), *[str(CAT)] * 500]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None and process.stderr is not None
    assert json.loads(process.stdout.readline())["output"]
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    process.wait(timeout=60)


def test_the_installed_command_is_this_one(tiny: Path) -> None:
    command = Path(sys.executable).with_name("showtell")
    done = subprocess.run(
        [command, "run", "image-to-text", CAT, "missing.jpg", "--model", tiny], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (1, "")
    assert [sorted(json.loads(line)) for line in done.stdout.splitlines()] == [["input", "output"], ["error", "input"]]
