"""The `showtell` command: run a task, see the demo, list the models, export one."""

from __future__ import annotations

import inspect
import io
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table
from typer.core import TyperGroup

from showtell.errors import InputError, ShowtellError
from showtell.pipelines import (
    ALIASES,
    MODELS,
    TASKS,
    bundled_models,
    find_model,
    pipeline,
    pipeline_class,
)
from showtell.pipelines.jobs.command import batch_task
from showtell.pipelines.printing import SUBTITLES, Format, Rows, complain, show
from showtell.pipelines.report import entities

# Options of a pipeline's call that the command decides itself; `words` speaks of lists, which a command line has not.
NOT_ON_THE_COMMAND_LINE = ("self", "words", "on_error", "progress")
# What the others mean, for `--help`.
HELP = {
    "num_beams": "Sentences followed at once by the search. Default: the model's own.",
    "max_length": "The most words. Default: the model's own.",
    "length_penalty": "Above 1 favours long answers, below 1 short ones. Default: the model's own.",
    "no_repeat_ngram_size": "No run of so many words comes twice; 0 lets any. Default: the model's own.",
    "num_return_sequences": "Answers for each input, best first.",
    "do_sample": "Draw answers at random in place of searching for the best.",
    "temperature": "When drawing: below 1 sharpens the probabilities, above 1 flattens them.",
    "top_k": "Of labels: so many, best first. When drawing: among so many likeliest words; 0 is all.",
    "top_p": "When drawing: among the fewest words that hold this much of the probability.",
    "seed": "When drawing: the same seed draws the same.",
    "return_attention": "Add what the model looked at (JSON lines only).",
    "window_seconds": "Answer a long recording window by window, each so long. Default: the whole at once.",
    "stride_seconds": "From one window's start to the next. Default: half a window.",
    "language_model": "Whether the words' language model that came with the recogniser, if one did, has a say.",
    "return_timestamps": "Add the times of words (`word`) or of characters (`char`).",
    "batch_size": "At most so many inputs go through the model together. Default: as their cost allows.",
}
INPUTS = "Files, or for a task of texts the texts themselves. `-` is standard input: one file, or one text a line."
FORMAT = "Plain text, JSON lines, or subtitles. Default: a table in a terminal, JSON lines in a pipe."
# Tasks whose answers a terminal shows in the texts themselves, and not in a table.
PAINTED = {"token-classification": entities.paint}
# Above so many inputs a terminal shows a bar.
LONG_WORK = 20


class Commands(TyperGroup):
    """Commands whose errors are one line each, and the exit code 1."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise  # nobody reads on, as after `| head`: the caller ends quietly
        except (ShowtellError, OSError) as error:
            complain(error)
            raise typer.Exit(code=1) from error


app = typer.Typer(
    cls=Commands,
    help="Small recurrent models with attention, from files to answers, offline.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def run_task(
    task: str,
    inputs: Annotated[list[str] | None, typer.Argument(help=INPUTS)] = None,
    *,
    file: Annotated[Path | None, typer.Option(help="Read inputs from here, one a line.")] = None,
    format: Annotated[Format | None, typer.Option(help=FORMAT)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
    model: Annotated[str | None, typer.Option(help="A bundled model, a folder, or owner/name on the Hub.")] = None,
    revision: Annotated[str | None, typer.Option(help="Which commit, tag or branch on the Hub.")] = None,
    runtime: Annotated[Literal["onnx", "torch"], typer.Option(help="What computes.")] = "onnx",
    device: Annotated[Literal["cpu", "cuda"], typer.Option(help="Where.")] = "cpu",
    threads: Annotated[int | None, typer.Option(help="For one run of the model. Default: one for each core.")] = None,
    **options: Any,
) -> None:
    """Answer every input in order; exit with 1 if any of them failed, its error in its row."""
    if not inputs and not file:
        raise typer.BadParameter("no inputs; name at least one, or a --file of them")
    if as_json and format not in (None, "json"):
        raise typer.BadParameter(f"--json and --format {format}; one of them would do")
    if format is None and (as_json or not sys.stdout.isatty()):
        format = "json"
    reads_text = TASKS[task].reads_text
    given = [*(texts_of(inputs or []) if reads_text else inputs or [])]
    given += read_lines(file.read_bytes(), str(file)) if file else []
    if format in SUBTITLES:
        if "return_timestamps" not in options:
            raise typer.BadParameter(f"--format {format}: this task tells no times; text or json would do")
        if len(given) > 1:
            raise typer.BadParameter(f"--format {format}: subtitles are of one recording; one input would do")
        options["return_timestamps"] = "word"
    pipe: Any = pipeline(task, model, revision=revision, runtime=runtime, device=device, threads=threads)
    files = (sys.stdin.buffer.read() if name == "-" else name for name in given)
    progress = sys.stderr.isatty() and len(given) > LONG_WORK
    answers = pipe(iter(given) if reads_text else files, **options, on_error="return", progress=progress)
    rows = Rows(given, answers)
    show(rows, format, pipe.in_words, PAINTED.get(task))
    raise typer.Exit(code=1 if rows.failed else 0)


def texts_of(inputs: list[str]) -> Iterator[str]:
    """The inputs of a task that reads text: texts, and for `-` the lines of standard input."""
    for text in inputs:
        yield from read_lines(sys.stdin.buffer.read(), "standard input") if text == "-" else [text]


def read_lines(data: bytes, name: str) -> list[str]:
    """The lines of a text in UTF-8, the last one ended or not. name: of where they come from."""
    try:
        lines = io.StringIO(data.decode("utf-8-sig"), newline=None)
    except UnicodeDecodeError as error:
        raise InputError(f"{name}: this is not text in UTF-8 ({error.reason}); one input a line would do.") from error
    return [line.removesuffix("\n") for line in lines]


def command_of(task: str, answer: Callable[..., None]) -> Callable[..., None]:
    """The command by which `answer` does one task. It has the options of the pipeline's call too, by its signature."""

    def command(**arguments: Any) -> None:
        answer(task, **arguments)

    own = inspect.signature(answer, eval_str=True).parameters.values()
    call = inspect.signature(pipeline_class(task).__call__, eval_str=True).parameters.values()
    parameters = [p for p in own if p.name not in ("task", "options")]
    parameters += [
        p.replace(annotation=Annotated[p.annotation, typer.Option(help=HELP[p.name])])
        for p in call
        if p.kind is p.KEYWORD_ONLY and p.name not in NOT_ON_THE_COMMAND_LINE
    ]
    parameters = [p.replace(kind=p.KEYWORD_ONLY) for p in parameters]
    vars(command)["__signature__"] = inspect.Signature(parameters)
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    return command


def tasks_by(answer: Callable[..., None]) -> type[TyperGroup]:
    """The commands of all tasks. Each is made when it is called, so that no other task's pipeline is imported."""

    class Tasks(TyperGroup):
        def list_commands(self, ctx: Any) -> list[str]:
            return [*TASKS, *ALIASES]

        def get_command(self, ctx: Any, cmd_name: str) -> Any:
            task = ALIASES.get(cmd_name, cmd_name)
            if task not in TASKS:
                return None
            what = inspect.getdoc(pipeline_class(task) if answer is run_task else answer)
            one = typer.Typer(add_completion=False)
            one.command(cmd_name, help=f"The same as {task}." if cmd_name in ALIASES else what)(
                command_of(task, answer)
            )
            return typer.main.get_command(one)

    return Tasks


run_help = "Answer inputs: a table in a terminal, JSON lines in a pipe."
batch_help = "Answer every record of a manifest, in a job that can be killed."
app.add_typer(typer.Typer(cls=tasks_by(run_task), help=run_help, no_args_is_help=True), name="run")
app.add_typer(typer.Typer(cls=tasks_by(batch_task), help=batch_help, no_args_is_help=True), name="batch")


@app.command()
def demo(
    report: Annotated[Path, typer.Option(help="Where the page is written.")] = Path("showtell-report.html"),
) -> None:
    """Answer bundled samples, print the answers, and write a page that shows where the models looked."""
    from showtell.pipelines.demo import run_demo

    run_demo(report)


@app.command()
def models(
    path: Annotated[str | None, typer.Option(help="Print only the folder of this model, or of this task's.")] = None,
) -> None:
    """List the bundled models: their task, size, terms and folder."""
    if path is not None:
        task = ALIASES.get(path, path)
        name = TASKS[task].default_model if task in TASKS else path
        if name not in bundled_models():
            raise InputError(f"{path}: no such task or bundled model; one of {', '.join(TASKS)} would do.")
        print(MODELS / name)
        return
    table = Table()
    for column in ("model", "task", "size", "terms", "folder"):
        table.add_column(column, overflow="fold")  # in a narrow terminal or a pipe a name goes on in the next line
    for name in bundled_models():
        folder = MODELS / name
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        size = sum(file.stat().st_size for file in folder.iterdir())
        table.add_row(name, config["task"], f"{size / 1e6:.1f} MB", config["terms"], str(folder))
    Console().print(table)


@app.command()
def export(
    model: Annotated[str, typer.Argument(help="A bundled model, a folder, or owner/name on the Hub.")],
    folder: Annotated[Path, typer.Argument(help="Where the files are written: a new or an empty folder.")],
) -> None:
    """Write a model as ONNX files that need nothing else, for programs that are not showtell."""
    from showtell.pipelines.export import export_model

    export_model(find_model(model), folder)
