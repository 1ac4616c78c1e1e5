"""Tab completion: the options of `%%parallel`, `%parallel`'s words, the variables that they take; attributes of frozen
values."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from IPython.core.completer import CompletionContext, SimpleCompletion, context_matcher

from firn import _core, exploring, options
from firn.own_names import own_names
from firn.transform import FIRST_LINE

if TYPE_CHECKING:
    from firn.notebook import Notebook

WORDS = ("workers", "restart", "reset", "history")


def candidates(text: str, variables: Iterable[str]) -> list[str]:
    """What may stand at the end of the text before the cursor: the last word of it is what is being typed."""
    words = text.split(" ")
    last, before = words[-1], words[1:-1]
    if words[0] == "%parallel":
        return [word for word in WORDS if word.startswith(last)] if not before else []
    if words[0] in ("%thaw", "%frozen"):
        return [name for name in variables if name.startswith(last)]
    option = before[-1] if before else ""
    if last.startswith("-") or (not last and not options.takes_value(option)):
        return [option for option in options.option_strings() if option.startswith(last) and option not in before]
    if choices := options.choices_of(option):
        return [choice for choice in choices if choice.startswith(last)]
    if options.takes_names(option):
        done, _, name = last.rpartition(",")
        return [f"{done},{found}" if done else found for found in variables if found.startswith(name)]
    return []


def is_free(text: str) -> bool:
    """Whether what is being typed is the user's to choose: a number, the name of a new variable."""
    option = text.split(" ")[-2]
    return options.takes_value(option) and not options.choices_of(option) and not options.takes_names(option)


def register(notebook: Notebook) -> None:
    """Adds the matcher to the shell's completer."""
    shell = notebook.shell

    @context_matcher(identifier="firn.options")  # type: ignore[untyped-decorator]
    def matcher(context: CompletionContext) -> dict[str, Any]:
        line = context.line_with_cursor[: context.cursor_position]
        typed, found_attributes = exploring.attributes(line, shell.user_ns)
        if found_attributes:
            completions = [SimpleCompletion(text=name, type=kind) for name, kind in found_attributes]
            return {"completions": completions, "matched_fragment": typed, "suppress": True}
        first = context.cursor_line == 0 and FIRST_LINE.match(line)
        if not (first and " " in line) and not line.startswith(("%parallel ", "%thaw ", "%frozen ")):
            return {"completions": []}
        names = sorted(own_names(shell))
        if line.startswith(("%thaw ", "%frozen ")):
            names = [name for name in names if _core.is_frozen(shell.user_ns[name])]
        found = candidates(line, names)
        typed = line.rpartition(" ")[2]
        if first and not found and is_free(line):
            found = [typed]  # nothing would bring files and keywords
        # The completer replaces its token, which may be only a part of the word that is being typed.
        skip = len(typed) - len(context.token) if typed.endswith(context.token) else 0
        return {
            "completions": [SimpleCompletion(text=word[skip:], type="magic") for word in found],
            "suppress": bool(found),
        }

    notebook.matcher = matcher
    shell.Completer.custom_matchers.append(matcher)


def unregister(notebook: Notebook) -> None:
    matchers = notebook.shell.Completer.custom_matchers
    if notebook.matcher in matchers:
        matchers.remove(notebook.matcher)
