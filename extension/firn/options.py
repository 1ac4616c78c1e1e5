"""The options of a `%%parallel` cell: one table that the parser, the manual and the completion read."""

from __future__ import annotations

import argparse
import keyword
import shlex
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from string import Formatter

from firn import errors

MAGIC = "%%parallel"


@dataclass(frozen=True)
class Options:
    """What the first line of a cell asks for. `workers` and `chunk` are 0 where firn decides; `timeout` is in seconds."""

    workers: int = 0
    chunk: int = 0
    timeout: float | None = None
    seed: int | None = None
    each: bool = False
    gather: tuple[str, ...] = ()
    group: bool = False
    copy: frozenset[str] = field(default_factory=frozenset)
    share: frozenset[str] = field(default_factory=frozenset)
    compare: str = "sample"
    reassociate: bool = False
    serial: bool = False
    explain: bool = False
    quiet: bool = False
    background: str = ""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        option, _, what = message.removeprefix("argument ").partition(": ")
        what = what.replace("expected one argument", "its value is missing")
        raise errors.bad_option(MAGIC, f"{option.partition('/')[0]}: {what}" if what else option)


def _count(text: str) -> int:
    return _whole(text, 1)


def _seed(text: str) -> int:
    return _whole(text, 0)


def _whole(text: str, least: int) -> int:
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if number < least:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from {least} upwards")
    return number


def _seconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not number > 0:
        raise argparse.ArgumentTypeError(f"{text} is not a time in seconds")
    return number


def _name(text: str) -> str:
    if not text.isidentifier() or keyword.iskeyword(text):
        raise argparse.ArgumentTypeError(f"'{text}' is not the name of a variable")
    return text


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name for name in text.replace(",", " ").split() if name)
    for name in names:
        if not name.isidentifier():
            raise argparse.ArgumentTypeError(f"'{name}' is not the name of a variable")
    return names


def make_parser() -> argparse.ArgumentParser:
    """The parser of a cell's first line."""
    parser = _Parser(prog=MAGIC, add_help=False, allow_abbrev=False, usage=f"{MAGIC} [options]")
    add = parser.add_argument
    add("--workers", "-w", metavar="N", type=_count, default=0, help="use N workers (all of them by default)")
    add("--each", action="store_true", help="run the whole cell once in every worker instead of splitting its loops")
    add("--gather", "-g", metavar="NAMES", type=_names, action="extend", default=[],
        help="with --each: bring these variables back, as lists ordered by rank")  # fmt: skip
    add("--group", action="store_true",
        help="with --each: show each worker's output as a whole, at the end, instead of all live")  # fmt: skip
    add("--copy", "-c", metavar="NAMES", type=_names, action="extend", default=[],
        help="give the workers copies of these variables and leave the notebook's own as they are, not frozen")  # fmt: skip
    add("--share", "-s", metavar="NAMES", type=_names, action="extend", default=[],
        help="share these variables too: code reads them in a way that firn cannot see")  # fmt: skip
    add("--chunk", metavar="N", type=_count, default=0, help="hand out N iterations at a time (adaptive by default)")
    add("--timeout", metavar="S", type=_seconds, help="stop after S seconds")
    add("--seed", metavar="N", type=_seed,
        help="the seed of the random module in split loops and workers: with it, or after random.seed(N) in the notebook, the "
        "numbers are the same for any number of workers")  # fmt: skip
    add("--reassociate", action="store_true",
        help="let the workers add up (and multiply) numbers with a fraction, each its chunks: quicker for sums by key; last "
        "digits may differ from the serial cell's, and are the same for any number of workers")  # fmt: skip
    add("--compare", choices=("sample", "full", "off"), default="sample",
        help="measure pickling on a sample, not at all, or in full: then split loops run three times more, over pickled "
        "copies, in firn's workers and concurrent.futures' (what is printed there is discarded)")  # fmt: skip
    add("--serial", action="store_true", help="run the cell serially, in the notebook")
    add("--explain", action="store_true",
        help="run nothing: show each variable's class, and why each loop would be split or refused")  # fmt: skip
    add("--background", "-b", metavar="NAME", type=_name,
        help="return at once with a handle in the variable NAME: NAME.done(), NAME.result(), NAME.cancel(), await NAME")  # fmt: skip
    add("--quiet", "-q", action="store_true", help="show no report (firn.last_report() has it)")
    return parser


PARSER = make_parser()


def option_strings() -> list[str]:
    """The long options, in the manual's order."""
    return [string for action in PARSER._actions for string in action.option_strings if string.startswith("--")]


def choices_of(option: str) -> list[str]:
    """The words that may follow an option, for completion; empty where anything may."""
    action = PARSER._option_string_actions.get(option)
    return [str(choice) for choice in action.choices] if action is not None and action.choices else []


def takes_value(option: str) -> bool:
    """Whether a value follows this option."""
    action = PARSER._option_string_actions.get(option)
    return action is not None and action.nargs != 0


def takes_names(option: str) -> bool:
    """Whether names of variables follow this option."""
    action = PARSER._option_string_actions.get(option)
    return action is not None and action.type is _names


def expand(line: str, namespace: Mapping[str, object]) -> str:
    """Puts the notebook's values in place of `{name}`, as IPython's own magics do; what is no name stays."""
    if "{" not in line:
        return line
    try:
        return Formatter().vformat(line, (), namespace)
    except Exception:
        return line


def parse(line: str, namespace: Mapping[str, object] | None = None) -> Options:
    """Reads the rest of a cell's first line; raises OptionError."""
    text = line.partition(" #")[0] if not line.lstrip().startswith("#") else ""
    return _parsed(expand(text, namespace or {}))


@lru_cache(maxsize=64)
def _parsed(text: str) -> Options:
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise errors.bad_option(MAGIC, f"{str(error).lower()} in {text.strip()!r}") from None
    found, rest = PARSER.parse_known_args(words)
    for word in rest:
        if word.startswith("-") and word != "--":
            raise errors.unknown_option(MAGIC, word.partition("=")[0], option_strings())
        raise errors.bad_option(MAGIC, f"{word!r} does not belong here: code goes on the lines below")
    options = Options(
        workers=found.workers,
        chunk=found.chunk,
        timeout=found.timeout,
        seed=found.seed,
        each=found.each or found.group or bool(found.gather),
        group=found.group,
        gather=tuple(dict.fromkeys(found.gather)),
        copy=frozenset(found.copy),
        share=frozenset(found.share),
        compare=found.compare,
        reassociate=found.reassociate,
        serial=found.serial,
        explain=found.explain,
        quiet=found.quiet,
        background=found.background or "",
    )
    if options.background:
        for other, given in (("--each", options.each), ("--serial", options.serial)):
            if given:
                raise errors.option_conflict(MAGIC, "--background", other, "in the background run split loops only")
        if options.compare == "full":
            raise errors.option_conflict(MAGIC, "--background", "--compare full", "that runs the cell several times")
        options = replace(options, compare="off")
    if options.serial and options.each:
        other = "--each" if found.each else "--group" if found.group else "--gather"
        raise errors.option_conflict(MAGIC, "--serial", other, "one runs in the notebook, the other in the workers")
    if options.serial:
        for other in ("workers", "chunk", "timeout", "seed", "reassociate"):
            if getattr(found, other) != PARSER.get_default(other):
                raise errors.option_conflict(
                    MAGIC, "--serial", f"--{other}", "the notebook runs the cell, as without %%parallel"
                )
    for other, given in (("--chunk", options.chunk > 0), ("--reassociate", options.reassociate)):
        if options.each and given:
            raise errors.option_conflict(MAGIC, other, "--each", "with --each nothing is split")
    return options


EXAMPLES = {
    "--workers": "--workers 4",
    "--each": "--each",
    "--gather": "--gather part,times",
    "--group": "--each --group",
    "--copy": "--copy rows",
    "--share": "--share table_a,table_b",
    "--chunk": "--chunk 100",
    "--timeout": "--timeout 2.5",
    "--seed": "--seed 1",
    "--reassociate": "--reassociate",
    "--compare": "--compare full",
    "--serial": "--serial",
    "--explain": "--explain",
    "--background": "--background job",
    "--quiet": "--quiet",
}
"""For the manual, one each."""

_WIDTH = 92
_TOGETHER = "\0"  # a space at which no line is broken


def describe() -> str:
    """The options as the manual lists them, with an example each."""
    lines = []
    for action in PARSER._actions:
        names = ", ".join(reversed(action.option_strings))
        value = "{" + ",".join(map(str, action.choices)) + "}" if action.choices else (action.metavar or "")
        example = f"({MAGIC} {EXAMPLES[action.option_strings[0]]})".replace(" ", _TOGETHER)
        first, *rest = textwrap.wrap(f"{action.help} {example}", _WIDTH - 30, break_on_hyphens=False)
        lines += [f"  {names} {value}".ljust(30) + first, *(" " * 30 + line for line in rest)]
    return "\n".join(lines).replace(_TOGETHER, " ")
