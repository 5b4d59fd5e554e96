"""`python -m showtell` is the `showtell` command."""

from showtell.pipelines.cli import app

app(prog_name="showtell")
