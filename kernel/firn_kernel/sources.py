"""What the library that marks the failing expression in tracebacks (executing) remembers of cells.

It keeps each source with its syntax tree for ever: 7 kB for a cell of two lines that fails. Modules are kept, for it takes
long to parse a big one again; a cell takes no time. What runs cells, asyncio and the kernel, is no user's business, and an
interrupt may come anywhere in it: it is 6 MB, and is parsed again in 0.1 s.
"""

import asyncio
import os
import sys
from contextlib import suppress

from . import cell_files

_FORGOTTEN = (cell_files.PREFIX, *(os.path.join(os.path.dirname(file), "") for file in (__file__, asyncio.__file__)))


def forget_cells() -> None:
    """Lets it forget the sources of cells and of what runs them; does nothing where it was not used, or has no such caches."""
    library = sys.modules.get("executing.executing")
    if library is None:
        return
    with suppress(AttributeError):
        for cls in (library.Source, *library.Source.__subclasses__()):
            sources = vars(cls).get("__source_cache_with_lines", {})
            for key in [key for key in list(sources) if key[0].startswith(_FORGOTTEN)]:
                sources.pop(key, None)
            found = vars(cls).get("__executing_cache", {})
            for key in [key for key in list(found) if key[0].co_filename.startswith(_FORGOTTEN)]:
                found.pop(key, None)
        library.Source.statements_at_line.cache_clear()
        library.statement_containing_node.cache_clear()
