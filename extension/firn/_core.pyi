from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, NoReturn, TypedDict

# --- heap ---

class NotFreezableError(TypeError):
    """A value cannot be frozen (PEP 795). Nothing has been changed."""

    path: str
    """Where it stands, an expression in the notebook's names: "rows[3]['conn']"."""
    root: str
    """The variable that leads there: "rows"."""
    type_name: str
    """The full name of its type: "sqlite3.Connection"."""

class FrozenList:
    """What a list or deque becomes."""

class FrozenDict:
    """What a dict, OrderedDict, defaultdict or Counter becomes."""

class FrozenFace:
    """What a set becomes."""

class FrozenCallable:
    """What an instance of a class with a `__call__` becomes."""

class Array:
    """An immutable n-dimensional array: what a frozen numpy.ndarray is in a worker, where numpy cannot load.

    Reads and calculates as numpy.ndarray does (firn.arrays has numpy's functions). Elements, and results without axes,
    are Python's own numbers. `Array(object, dtype=None)` takes buffers, numbers and nested sequences; it raises
    ValueError for sequences of different lengths and TypeError for what holds no numbers, strings or bytes.
    """

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    """In bytes."""
    ndim: int
    size: int
    itemsize: int
    nbytes: int
    dtype: Any
    """A firn.arrays.dtype: a str, equal to numpy's names."""
    T: Any
    real: Any
    imag: Any
    base: Any
    data: memoryview
    __array_interface__: dict[str, Any]
    @staticmethod
    def _concatenate(parts: list[Any], axis: int) -> Any: ...
    def __init__(self, object: Any, dtype: Any = None) -> None: ...
    def __getattr__(self, name: str) -> Any: ...
    def __getitem__(self, key: Any) -> Any: ...
    def __len__(self) -> int: ...
    def __matmul__(self, other: Any) -> Any: ...
    def __iter__(self) -> Any: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...

def array_apply(name: str, *operands: Any) -> Any:
    """An elementwise operation on arrays and numbers, by its name in numpy: "add", "sqrt"."""

def refuse_buffer_write(memory: memoryview, kind: str) -> NoReturn:
    """Raises the TypeError of a write to frozen memory, which a value of this kind reads."""

class Holders:
    """Who else holds originals of what was frozen."""

    @property
    def found(self) -> list[tuple[Any, int]]:
        """Containers and instances that hold an original, tuples among these; each with the number of the candidate that
        it was reached from."""
    def form(self, value: Any, /) -> Any:
        """What stands in the place of a value from now on."""
    def put(self, value: tuple[Any, ...], form: tuple[Any, ...], /) -> None:
        """Says what does, of a tuple."""
    def rehash(self, container: Any, /) -> bool:
        """Makes a dict or set anew where the hashes of keys have changed with what they hold. False: it could not be."""

    def swap(self, container: Any, /) -> bool:
        """Exchanges what a list, dict or set holds. False: the classes of keys do not let it, and it is as it was."""

class Originals:
    """The way back from copies: as long as it lives, this interpreter gets the originals wherever it would get a copy."""

    def __len__(self) -> int: ...

class Forms:
    """What was frozen to what. Knows the originals by their addresses: asked before anything happens to them."""

    def of(self, variables: list[Any], /) -> list[Any]:
        """For each value that a variable is bound to the frozen form of that very object, or None."""

    def addresses(self, objects: list[Any], /) -> list[tuple[Any, int, bool]]:
        """Of those that were frozen: (the original, the address of its form, whether every interpreter makes an object of its
        own of that)."""

    def holders(self, values: list[Any], kept: list[Any], /) -> Holders | None:
        """Who holds originals below the values, which are those of the notebook's variables; None: nobody. What is `kept`
        stays what it is."""

class FreezeResult:
    """What freeze_roots() did."""

    @property
    def frozen(self) -> dict[str, Any]:
        """The frozen form of each root, by its name."""
    @property
    def addresses(self) -> dict[str, int]:
        """The address of each root's frozen form, by its name, for adopt() in another interpreter."""
    @property
    def forms(self) -> Forms | None:
        """What was frozen to what, if it is kept."""
    @property
    def originals(self) -> Originals | None:
        """The way back from the copies, if it is kept; None: it is not."""
    @property
    def objects(self) -> int:
        """How many objects were copied."""
    @property
    def bytes(self) -> int:
        """The memory of the copies."""
    @property
    def seconds(self) -> float: ...
    @property
    def segment(self) -> int:
        """The segment's number; 0 when nothing new was frozen."""

class SegmentInfo(TypedDict):
    id: int
    names: list[str]
    cell: str
    objects: int
    bytes: int
    seconds: float
    time: float
    """When it was frozen, in seconds of time.time()'s clock."""
    backing: Literal["memory", "moving", "file", "kept"]
    """Where its pages are: "moving" to a file, or "kept" in memory because they could not."""
    retired: bool
    holder: int
    """Of a retired one: where in memory the last scan found a pointer into it; 0 in another segment, or unknown."""

def freeze[T](obj: T, /) -> T:
    """A frozen copy of `obj`, deep, that every interpreter of the process can read by reference (PEP 795).

    The copy reads as the original and raises TypeError when it is written to. Sharing and cycles within `obj` are
    kept; what is frozen already, or shared by all interpreters anyway (None, small integers, builtin types), is
    returned as it is, at once. Raises NotFreezableError with the path of the first value that cannot be frozen, or
    MemoryError; then nothing has been frozen.
    """

def thaw[T](obj: T, /) -> T:
    """A mutable copy of `obj`, deep: lists, dicts, sets ... of the types that were frozen.

    Sharing and cycles are kept. Strings, numbers and dates stay the frozen ones, for nobody can change them. Plain
    lists, tuples, dicts and sets are copied too, so that the frozen values in them thaw; anything else in them stays
    itself. Raises MemoryError.
    """

def shallow(obj: Any, /) -> Any:
    """A frozen container or instance as an ordinary object whose elements and attributes are the frozen ones.

    No code of its class runs. Anything else is returned as it is.
    """

def has_made() -> bool:
    """Whether this interpreter has made objects of frozen data that code may have changed since."""

def kept_objects() -> list[tuple[Any, int]]:
    """The latest objects that this interpreter goes on with, may change, and has frozen: (it, its twin's address)."""

def reached(roots: list[int], objects: list[int], /) -> list[int]:
    """Which of the frozen values at these addresses the roots are, or lead to. Walks all of that."""

def segments_below(segments: list[int], /) -> list[int]:
    """These segments, and those that their values lead to."""

def made_anew(wanted: Callable[[Any, int], bool], /) -> list[tuple[Any, Any]]:
    """Those of these objects (the first 200) that are wanted, each with another one that is made of the same data."""

def forget_made() -> None:
    """Lets go of these objects: who reads the data again gets others."""

def iterate_part[T](sequence: Sequence[T], start: int, stop: int, /) -> Iterator[T]:
    """The items `start` to `stop` (exclusive; 0 <= `start` <= `stop`), of a frozen list or tuple without a copy."""

def is_frozen(obj: object, /) -> bool:
    """Whether `obj` is frozen, hence shared with other interpreters by reference (PEP 795). O(1)."""

def freeze_roots(
    roots: dict[str, Any], *, keeps_forms: bool = False, keeps_originals: bool = False, threads: int = 0
) -> FreezeResult:
    """Freezes the values of `roots` into one segment, all or nothing.

    Their keys head the paths of errors and are kept for messages. With `keeps_forms` one can ask what was frozen to what
    (`Forms`), with `keeps_originals` the notebook goes on using all of it as it is (`Originals`). `threads` 0 means every
    core that the process may use. Raises NotFreezableError or MemoryError.
    """

def set_cell(segment: int, cell: str) -> None:
    """Notes which cell a segment was frozen for, as "[12]". Raises ValueError for an unknown segment."""

def segments() -> list[SegmentInfo]:
    """What is frozen, a dict a segment, without those that were given back."""

def count_segments() -> int:
    """How many segments there ever were: their ids are 1 to this, and no other one ever gets one of them."""

def segments_of(values: list[Any], /) -> list[int]:
    """The ids of the segments that the values lie in, each once, ascending; a look at each address, no more."""

def dissect(frozen: object, every: int = 1) -> list[tuple[int, str, str, str, int, int, bool]]:
    """Where the memory of a frozen value goes: (parent, step, name, type, objects, bytes, recursive) for each path and
    type, parents first, the value itself at index 0; empty for what is not in the heap.

    `step` says how one gets there from the parent: "root", "items" (any element, any value of a big mapping), "members"
    (of a set), "keys", "key" or "field" (of this name), "below" (anything deeper). An object counts once, where it is met
    first. `every`: of long containers only every so many-th item is looked at, and stands for the others.
    """

def weigh(values: list[Any], limit: int, /) -> tuple[int, int]:
    """How many objects frozen values are and lead to, each once, and their bytes; looks at `limit` objects, no more. What is
    not in the heap weighs nothing."""

def segments_at(addresses: list[int], /) -> list[int]:
    """The same of addresses of frozen values."""

def number_of(definition: object, /) -> int:
    """The number that a class or function has in all interpreters; a new one when it has none.

    What can be imported under its name has one number everywhere. This interpreter keeps the definition for ever.
    """

def define(number: int, object: object, /) -> None:
    """Says what a number is in this interpreter: what records of it are instances of here, and what instances of
    `object` frozen here are elsewhere. Raises ValueError for a number that was not given to anything."""

def undefine(number: int, /) -> None:
    """Forgets what a number is in this interpreter, and what it has made of frozen instances: before another definition is
    loaded, which may hold such objects itself."""

def replica(number: int, /) -> Any:
    """This interpreter's own class or function with a number. Raises what firn.definitions.find() raises."""

def definitions_of(segments: list[int], /) -> list[tuple[int, Any]]:
    """The classes and functions that the values of these segments, and of those they refer to, need: with numbers."""

def definitions_below(addresses: list[int], /) -> list[int]:
    """The numbers of the definitions that the frozen values at these addresses lead to; walks all of them."""

def begin_retirement(segments: list[int], /) -> None:
    """Marks segments as retired, so that the workers' `tidy()` lets go of what they keep for them; `retire()` is next."""

def retire(segments: list[int], /) -> None:
    """Gives back the memory of segments; every pointer into them stays valid.

    A scan of the process finds those that nothing points into any more: they are gone, and their addresses used again.
    The pages of the others move to private files without a name in `FIRN_SPOOL` (else `TMPDIR`, else /var/tmp), mapped
    over the same addresses while others read; later scans ask for them again. Those that fill a few pages only stay in
    memory. All threads stop for some milliseconds; the rest happens in the background. Raises nothing for a disk that is
    full: see spool_problem().
    """

def rescan(now: bool = True, /) -> None:
    """Looks again for retired segments that nothing points into any more: at once, or when it costs little."""

def settle(seconds: float = 60.0) -> bool:
    """Waits until nothing is being scanned or moved, so many seconds at most; whether that is so."""

def cool() -> None:
    """Gives the system the pages that were kept for what is frozen next."""

def give_back_pools() -> int:
    """Gives the system what CPython's allocator keeps for this interpreter's later objects, pools of 16 KiB that nothing
    is in; how many bytes. A microsecond each."""

class ScanFigures(TypedDict):
    scans: int
    """That came to an end."""
    freed: int
    """Segments that were given back since the process began."""
    freed_bytes: int
    stopped_seconds: float
    """How long the last scan stopped the threads."""
    seconds: float
    """What it took in its own process."""
    bytes: int
    """And looked at."""
    problem: str
    """Why the last one had no result; empty: all is well."""

def scan_figures() -> ScanFigures:
    """What the scans did."""

def spool_problem() -> tuple[str, str] | None:
    """Why retired segments stay in memory ("kept"): the folder and the reason. They are tried again with the next."""

def address(frozen: object, /) -> int:
    """The address of a frozen value, for adopt() in another interpreter."""

def twin_address(object: object, /) -> int:
    """For adopt(), if this interpreter made the object of a frozen value and it never changes; else 0."""

def origin_address(object: object, /) -> int:
    """The same of an object that may have changed since it was made."""

def made_again(object: Any, /) -> Any:
    """Another object of the frozen value that such an object was made of. Raises ValueError for others."""

def take_refused_write() -> tuple[str, str, int] | None:
    """(message, function, line) of the first write to frozen data that this thread was refused since it last asked, or
    None. Code may have caught the error."""

def adopt(address: int, /) -> Any:
    """The frozen value at an address. Raises ValueError where there is none."""

# --- opt-outs (firn.shared and firn.optouts are the public side) ---

def new_shared_field(value: object, /) -> int:
    """A new shared field with a value, which is frozen unless it is small and of builtin types; its number."""

def shared_get(field: int, /) -> Any: ...
def shared_swap(field: int, value: object, /) -> Any:
    """Stores a value and returns the one before, in one step."""

def shared_compare_and_swap(field: int, expected: object, value: object, /) -> bool:
    """Stores a value if the field still holds the expected one, in one step; whether it did."""

def new_local_key() -> int:
    """A number that nobody else in the process has."""

def mark_freezable(obj: int, freezable: bool | None, /) -> None:
    """Says for the object of this interpreter at an address whether it may be frozen; None forgets it."""

def lend(objects: list[int], /) -> None:
    """In a worker: the addresses of what stands for the notebook's own objects, which results hold pickled."""

def seal_class(cls: type, sealed: bool, /) -> None:
    """Makes the attributes of a class of a class statement read-only, or writable again."""

# --- driver ---

def packed_numbers(values: list[Any], /) -> tuple[int, bytes] | bytes | None:
    """The values of numbers side by side, 8 native bytes each: (their sum, values) of exact ints and bools, values of exact
    floats. None if not all are one or the other, for an int of more than 60 bits, and for an empty list."""

def float_sum(parts: list[bytes], /) -> float:
    """What sum() makes of floats, to the last bit; their values are side by side in the parts, 8 native bytes each."""

def fold_floats(total: float, values: bytes, subtract: bool, /) -> float:
    """`total += value`, or `-=`, for each value in its order; they are side by side, 8 native bytes each."""

def move_items(to: list[Any], from_: list[Any], /) -> None:
    """Appends the items of one exact list to another one; the first is empty then. Raises TypeError for others."""

def move_groups(to: dict[Any, list[Any]], from_: dict[Any, list[Any]], /) -> None:
    """Appends to each list of the one dict the items of the list that the other one has for that key; lists of keys that
    are not in it move whole. The other dict is empty then. Raises TypeError for other values than lists."""

def add_counts(to: dict[Any, int], from_: dict[Any, int], /) -> None:
    """`to[key] += count` for each key of the other dict, or `to[key] = count`."""

def extreme(values: list[Any], largest: bool, last: bool, /) -> int | float | None:
    """The value that max() or min() picks, of equal ones the first or the last, where all are exact ints of at most 60 bits,
    or all are exact floats and none is not a number; else None."""

def only_type(values: list[Any], /) -> type | None:
    """The exact type of all values; None if there are several, or no values."""

def plain_keys(keys: dict[Any, Any] | list[Any], /) -> bool:
    """Whether all are exact strs, bytes, ints or bools, or tuples of such, floats and None: nobody's code runs when
    they are compared, and none that is an index of a list hides one that is not."""

def unlike_itself(table: dict[Any, Any], /) -> tuple[Any] | None:
    """The first key that does not equal itself, NaN or what holds one."""

def type_of(obj: object, /) -> type:
    """`type(obj)`, but of a frozen object the class that it stands for."""

def outcome(pair: tuple[BaseException | None, Any], /) -> Any:
    """The value of an (error, value) pair; raises the error, with no frame of its own in the traceback."""

# --- pool ---

class Event:
    """What a job tells its owner."""

    @property
    def kind(self) -> Literal["chunk", "output", "failed"]: ...
    @property
    def start(self) -> int:
        """The first item of the chunk."""
    @property
    def stop(self) -> int:
        """One past its last item."""
    @property
    def rank(self) -> int:
        """The worker's."""
    @property
    def began(self) -> float:
        """When the runtime's run() was called, in seconds of time.perf_counter's clock."""
    @property
    def ended(self) -> float:
        """When it returned."""
    @property
    def setup_seconds(self) -> float:
        """What begin() took; 0 for the later chunks of a worker."""
    @property
    def delay_seconds(self) -> float:
        """How much of the time between `began` and `ended` the worker waited for a CPU, because others had them all; 0
        where the kernel does not tell."""
    @property
    def freeze_seconds(self) -> float:
        """What freezing (or packing) the result took."""
    @property
    def result(self) -> Any:
        """Kind chunk: what run() returned, made into objects of this interpreter at the first access."""
    @property
    def pickled(self) -> bool:
        """Kind chunk: `result` is the bytes that the runtime's pack() made, for it could not be frozen."""
    @property
    def stream(self) -> Literal["stdout", "stderr", "display"]:
        """Kind output."""
    @property
    def text(self) -> str:
        """Kind output."""
    @property
    def error(self) -> str:
        """Kind failed: the traceback of what begin(), run() or pack() raised, or why the chunk has no result."""

class Job:
    """What Pool.submit returns. Any thread of the notebook's interpreter may use it."""

    def next(self, timeout: float | None = None) -> Event | None:
        """The next event; None after `timeout` seconds or when there is none left (see `done`).

        Chunks come as they end. The output of a job that is not pinned comes in the order of its items, before the
        event of its chunk when that is the first unfinished one. Waits without the GIL; signals wake it, so that it
        raises KeyboardInterrupt at once, and then the job goes on until it is cancelled. Raises RuntimeError when no
        worker can be started.
        """
    @property
    def done(self) -> bool:
        """Whether every event has been delivered."""
    @property
    def lost(self) -> list[tuple[int, int, int, float, float, float, float, float, bool]]:
        """The work that brought no event, in no order: chunks that were stopped, and those that were whole when nobody
        wanted them any more. (start, stop, rank, began, ended, setup_seconds, freeze_seconds, delay_seconds, whole) each,
        as in an Event."""
    def truncate(self, stop: int) -> None:
        """The items from `stop` on are not needed: no event of a chunk that starts there will come any more."""
    def cancel(self, grace: float = 2.0) -> list[int]:
        """Stops everything and waits for it. Workers that do not stop within `grace` seconds are abandoned and
        replaced; their ranks are returned. A second Ctrl-C abandons them at once."""
    def close(self) -> None:
        """Cancels what is left."""

class WorkerInfo(TypedDict):
    rank: int
    state: Literal["starting", "idle", "busy", "abandoned"]
    generation: int
    """How many workers of this rank there were before; each one starts empty."""

class Pool:
    """Threads with an interpreter and a GIL of their own. Any thread of the notebook's interpreter may use it.

    `runtime` is the name of a module that each worker imports, from the notebook's sys.path. It has `begin(setup)`,
    which gives a function `run(start, stop)`, `pack(result) -> bytes`, and `Stopped`, a BaseException.
    """

    def __init__(self, workers: int, runtime: str = "firn.worker") -> None: ...
    @property
    def size(self) -> int:
        """The number of workers; 0 in a process that was forked after the pool was made."""
    def warm(self) -> None:
        """Starts the workers that are missing, in the background."""
    def resize(self, workers: int) -> None:
        """Starts more workers, or lets those with the highest ranks end when they are idle."""
    def tidy(self, seconds: float) -> None:
        """The idle workers let go of what they keep for retired data; waits for them, but no longer than so many
        seconds."""
    def close(self) -> None:
        """Stops everything and ends the workers; those that do not stop in 2 s are abandoned."""
    def workers(self) -> list[WorkerInfo]:
        """The workers, by rank, and those that were abandoned and have not come back."""
    def submit(self, setup: object, count: int, *, chunk: int = 0, workers: int = 0, pinned: bool = False) -> Job:
        """Computes the items 0 .. count - 1 in chunks of `chunk` items (0: of 5 to 50 ms), on at most `workers` workers.

        Jobs take turns: one gets workers when those before it have no items left to hand out. With `pinned`, item k is
        a chunk of its own and runs on worker k.
        """

def worker_write(stream: int, text: str) -> None:
    """In a worker: writes to the notebook's stdout (1) or stderr (2). Waits while much is unread there."""

def cpu_count() -> int:
    """The CPUs that this process may use: os.process_cpu_count() or, if less, the cgroup's quota rounded up."""
