"""The manuals that `%%parallel?` and its companions show."""

from __future__ import annotations

from firn import options

CELL = f"""Runs the cell on all cores and gives the result of the serial cell.

  %%parallel [options]

Every for loop and comprehension at the top of the cell is split among the workers;
everything else runs in the notebook as usual:

  %%parallel
  hits  = [p for p in packages if pattern.search(p["Description"])]
  total = sum(int(p["Size"]) for p in packages)
  by_section = Counter()
  for p in packages:
      by_section[p["Section"]] += 1

WHAT IS SPLIT

Loops at the cell's top level, also inside if, with and match, and inside sum, min, max,
any, all, len, sorted, list, set, dict, tuple, Counter and "".join. Not split: while loops,
generators that nothing uses up on the spot, and the loops of functions that the cell calls.
What an iteration may do with the cell's variables:

  loop        the loop's own variable
  temporary   assigned in each iteration before it is read; it ends with the last value
  broadcast   only read: frozen, and read by all workers where it is
  output      out.append(x), out.extend(xs), found.add(x), d[k] = x, d.setdefault(k, x),
              if k not in seen: seen.add(k); out.append(x)
  reduction   n += x, n = max(n, x), if x > best: best, who = x, item,
              if best is None or row["x"] > best["x"]: best = row (or: if not best or ...),
              d[k] += x, d[k] = max(d.get(k, 0), x), if x > d.get(k, 0): d[k] = x,
              if k not in d or x > d[k]: d[k] = x, d.setdefault(k, []).append(x), and the
              same inside of items: d[a][b] += x, d[a][b].append(x), d[k].update(xs), ...

Effects are merged in the order of the iterations: rounding, the order of keys, the printed
text and the exception are those of the serial cell. A loop that could not give them is
refused before anything runs, with the line, the reason and what to write instead. --explain
shows all that without running the cell. --reassociate gives up the last digits of sums of
floats for speed.

A for loop that only prints or displays stays in the notebook for up to 5 ms, as does a
comprehension that ends the cell and looks at what its loops have made: they freeze nothing
then. A loop that takes longer than a second shows its progress; over tqdm(rows)
that is your own bar.

WHAT IS FROZEN

The variables that the loops read, also through functions, classes and closures. They read
as before and cannot be changed; x = firn.thaw(x) (or %thaw x) gives a copy that can. A
variable that the cell changes after the loop, and those of --copy, travel as copies; results
hold the notebook's own objects all the same. A card below the cell says what was split, what
was frozen, and what that saved.

OPTIONS

{options.describe()}

ALL OF THE CELL IN EVERY WORKER

With --each, or when the cell uses parallel.rank, parallel.size or parallel.split(sequence),
the whole cell runs once in every worker. Names that it assigns stay in that worker for
later such cells (%parallel reset forgets them); --gather brings them back as lists, ordered
by rank.

  %%parallel --gather part
  part = sum(len(row["text"]) for row in parallel.split(rows))

IN THE BACKGROUND

With --background the cell returns at its first split loop, which goes on in workers of its
own while other cells run:

  %%parallel --background job
  hits = [p for p in packages if pattern.search(p["Description"])]
  len(hits)

The loop reads its variables as they are now. When it has ended, its effects are merged and
the statements after it run: between two cells, or when the handle is asked, never in the
middle of another cell. job.result() or `await job` waits and gives the value of the last
expression, or raises what the cell raised (job.result(5) waits for 5 s at most); there are
also job.done(), job.progress, job.cancel(), job.cancelled(), job.exception() and job.report.
The handle's name must be one that the cell does not use. A cell goes on without its handle.

OUTPUT AND ERRORS

What iterations print, display(), log and warn of appears as the serial cell shows it, log
records by way of the notebook's own handlers; of --each live, labelled by worker, or with
--group one worker after the other.

The exception of the first failing iteration is raised, of the class and with the lines of
the serial cell; the failed loop has changed nothing. A note says what the loop variable
was, and the details are an attribute:

  try:
      ...
  except ValueError as error:
      details = error.worker_error
      details.index, details.item, details.rank, details.traceback

An exception that cannot leave its worker is replaced by a firn.WorkerError with the same
attributes. %debug shows the lines, the loop's variables, and plain values of the functions'
variables. Interrupting the kernel stops all workers.

LIMITS

- Modules that do not load in subinterpreters (numpy, pandas ...) cannot be used in the
  workers: such a cell is refused.
- Elements of an array are Python's own numbers in a worker: no wrap-around of uint8,
  ZeroDivisionError instead of inf, ~ of a boolean as of an integer, float32 added up in
  double. Compute on whole arrays, or in the notebook.
- In imported modules type(rows) is list is false for what is frozen; in the notebook's own
  code it is true.
- Iterators are read to their end first. A loop that could see that is refused: a generator
  that yields the same list again and again, or changes what the loop reads.
- Annotations of classes and functions are empty in the workers.
- Names that only exist at run time (globals()["x"], eval, getattr on __main__) are not
  found: --share x.
- What was frozen is another object than its original, and takes its place in the notebook's
  variables and in the containers, instances, functions and classes below them. Out[3] and
  data frames of objects keep the original.
- A module that is reloaded, also by %autoreload, is reloaded in the workers before the next
  cell; the workers of a firn.Executor that have begun keep what they have.
- What the loop's functions change outside of it (a global, a class attribute, a default, a
  decorator's counter) is refused: each worker has its own copy, and the change would be
  lost. Return it, or collect it in the loop.
- functools.cache starts empty in each worker, and what a worker puts there stays in it, as
  does what it does to imported modules. os.chdir, os.umask and os.putenv reach the whole
  process, notebook included, at once. What the notebook has changed in an imported module
  they do not see.
- random draws other numbers than the serial cell, the same for any number of workers: see
  --seed.
- Files, sockets, locks, generators cannot be frozen and are refused. --explain finds them
  in containers and instances, not in what pickles in a way of its own (__reduce__,
  __getstate__): that shows when the cell runs.
- A cell under a debugger, coverage or sys.settrace runs serially, and the report says so.

See also: %parallel (state and settings of the workers), %frozen, %thaw, firn.last_report(),
firn.Executor.
"""

# Front ends that ask about `%%parallel` by Shift-Tab get this text, for they leave out the percent signs.
LINE = f"""Shows the workers, or changes them; the cell magic %%parallel runs a cell in them, see below.

  %parallel              the workers and what they do
  %parallel workers N    use N workers from now on
  %parallel restart      close all workers and start new ones
  %parallel reset        forget the variables that --each cells left in the workers
  %parallel history      the figures of this session's parallel cells, a row each

%%parallel: {CELL[0].lower()}{CELL[1:]}"""

FROZEN = """Lists what is frozen: name, type, objects, bytes, the cell that froze it, its age, live or retired, and where it is.

  %frozen           all of them
  %frozen rows      where the memory of one goes: the objects and bytes of each path and type in it

Objects and bytes are those of all that was frozen together with the variable. What no variable is bound to any more
retires at the end of a cell: it moves from memory to files without a name in the folder FIRN_SPOOL (else TMPDIR, else
/var/tmp), and everything that still refers to it reads on. It stays there when a variable is bound to it again, and
goes for good when nothing refers to it any more. firn.release("rows") drops a variable and does all that at once.
"""

THAW = """Gives variables a copy of their frozen value that can be changed.

  %thaw NAME...

What it replaces retires when no other variable is bound to it.
"""
