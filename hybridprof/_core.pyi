"""The measuring core. One session per process; every function is safe from any thread. Times are ns, rates Hz."""

import os
from collections.abc import Callable, Sequence
from types import CodeType
from typing import Any, Final, Literal, final

class FormatError(ValueError):
    """A file or path is not what it should be; the message is one sentence with the path. Also raised for unknown formats."""

@final
class Profile:
    """Finished, immutable data. Every method may be called from any thread; `write` releases the GIL."""

    def __sizeof__(self) -> int: ...
    def meta(self) -> dict[str, Any]:
        """The keys of `hybridprof info --json`, and `profile_id` (32 hex digits, one for each session), `sampler_method`, `tracer_hook`.
        `started` is ISO 8601 in UTC, `argv` a list of words."""
    def functions(self) -> list[tuple[str, str, str, str, int, int | None, int | None, int, int, int, int, str, int, str]]:
        """(qualname, module, name, file, line, calls, primitive_calls, self_ns, total_ns, self_error_ns, total_error_ns, measured, samples, kind)

        `calls` is None where measured == "sampled"; measured is "exact", "sampled" or "mixed"; kind is "python", "c", "block", "synthetic" or "thread"."""
    def edges(self) -> list[tuple[int, int, int | None, int | None, int, int, str]]:
        """(caller, callee, calls, primitive_calls, self_ns, total_ns, measured): indices into functions(); caller -1 at a thread's root."""
    def nodes(self) -> list[tuple[int, int, int | None, int, int, int, str]]:
        """(parent, function, calls, self_ns, total_ns, samples, measured), parents first; parent -1 and function -1 for the root. Empty where the file held no tree."""
    def errors(self) -> dict[str, list[tuple[Any, ...]]]:
        """Half widths of the 95 % intervals, ns, 0 where exact. nodes and edges: (self, total), as nodes() and edges(). threads: (root, function,
        self, total), of what a function has in one thread. states: (node, state, self)."""
    def threads(self) -> list[dict[str, Any]]:
        """name, native_id, root (node or None), samples, traced_samples, measured_ns, sampled_ns, exact_ns, overhead_ns, unresolved_ns, residual_ns."""
    def lines(self) -> list[tuple[int, int, int, int, str]]:
        """(node, line, samples, sampled_ns, state); line 0 where it is not known. Several places of one line are one item, several states are not."""

    def sources(self) -> list[dict[str, Any]]:
        """profile_id, python, implementation, platform, pid, argv, started, duration_ns, rate_hz, samples_kept, clock of each profile that was merged
        into this one, by id; of itself where none was."""
    def timeline(self) -> tuple[int, int] | None:
        """(samples, lost) of samples in the order of time, None where they were not asked for."""
    def left_out(self) -> int:
        """Files that merges could not read."""
    def select(self, states: Sequence[str], /) -> Profile:
        """The samples in these states as a Profile. Raises ValueError for an unknown name."""
    def write(self, path: str, format: str | None = None) -> None:
        """Atomically, without the GIL. FormatError for a format that is unknown or not told by the name, OSError for what the system refused."""
    def encode(self, format: str) -> bytes: ...
    def write_to(self, descriptor: int, format: str, /) -> None:
        """What `encode` returns to a pipe or whatever else is open there, piece by piece, without the GIL. FormatError, OSError."""

@final
class Merge:
    """Adds profiles up, in any order, each once. Threads may share it: files are read side by side and added one after another, without the GIL."""

    def __new__(cls) -> Merge: ...
    def add(self, profile: Profile, /) -> bool:
        """False where all of it is in already. ValueError, and nothing added, where it cannot be: another clock, no calling contexts, parts of it in
        already, sums beyond 64 bits."""
    def add_file(self, path: str, strict: bool = False, /) -> str:
        """Reads and adds; the sentence about what a file that was cut short lacks, or "". FormatError for what is damaged (strict: or cut short),
        OSError for what cannot be opened, ValueError as for add()."""
    def leave_out(self, sentence: str, /) -> None:
        """Counts a file that could not be read; the sentence becomes a warning of the result."""
    def finish(self) -> Profile:
        """All that was added; more may follow."""

def sources(path: str, /) -> list[dict[str, Any]]:
    """Profile.sources() of a file, of which little is read. FormatError or OSError."""

def diff(base: Profile, new: Profile, compare: str, /) -> dict[str, Any]:
    """scale, run_to_run, base_ns, new_ns, common_base, common_new, unrelated, tested, changed, and rows: [(base, new, self, total)], the first two indices
    into functions() or None, the others (base_ns, new_ns, change_ns, error_ns, relative, p, q, significant). compare: "auto", "time" or "share".
    ValueError where their clocks differ."""

def diff_stacks(base: Profile, new: Profile, compare: str, /) -> bytes:
    """Lines `stack BASE NEW`, ns. FormatError where one has no stacks."""

def diff_write(base: Profile, new: Profile, compare: str, path: str, /) -> None:
    """The same to a file, atomically."""

@final
class Format(tuple[str, tuple[str, ...], str | None, bool, bool]):
    """(name, suffixes, prefix, can_read, can_write), and what is no item of it."""

    __match_args__: Final = ("name", "suffixes", "prefix", "can_read", "can_write")
    n_fields: Final = 10
    n_sequence_fields: Final = 5
    n_unnamed_fields: Final = 0

    @property
    def name(self) -> str: ...
    @property
    def suffixes(self) -> tuple[str, ...]: ...
    @property
    def prefix(self) -> str | None: ...
    @property
    def can_read(self) -> bool: ...
    @property
    def can_write(self) -> bool: ...
    @property
    def is_text(self) -> bool:
        """A terminal can show it."""
    @property
    def readers(self) -> str:
        """For which programs it is written."""
    @property
    def keeps(self) -> tuple[str, ...]:
        """The parts of a profile that it has a place for."""
    @property
    def loses(self) -> tuple[str, ...]:
        """All others."""
    @property
    def remark(self) -> str | None: ...

def formats() -> list[Format]: ...
def format_for_path(path: str, /) -> str | None: ...
def load(path: str, /) -> Profile:
    """By content. FormatError or OSError, each one sentence."""

# --- the session --------------------------------------------------------------------------------------------------------------------

def start(
    *,
    rate: float = 100.0,
    clock: Literal["wall", "cpu"] = "wall",
    method: Literal["auto", "same-cpu", "signal", "remote"] = "auto",
    hook: Literal["auto", "monitoring", "setprofile"] = "auto",
    c_calls: bool = False,
    seed: int = 0,
    budget: float = 0.0,
    tasks: bool = False,
    event_limit: int = 0,
    timeline: bool = False,
) -> bool:
    """Starts the session. False (and nothing changed) if one runs or the interpreter is ending. rate 0: no sampler, tracing only.
    budget: percent of one core that recording may take, 0: no limit; over it a smaller share of the targets' calls is traced.
    event_limit: events of one outermost call of a target, after which the rest of it is not recorded, 0: no limit.
    timeline: samples are kept in the order of time too. tasks: stacks of asyncio tasks go on through the tasks that await them. Asks an asyncio that is imported how its tasks look.
    ValueError with a sentence for bad values. A tracer that cannot start is a warning in the profile, not an error."""

def adjust(*, rate: float, budget: float) -> bool:
    """The running session goes on with this rate and budget; its profile says the last rate. False, and nothing changed, where none runs or the
    session would have to begin anew (no sampler yet; no budget any more, or a first one while everything is traced). ValueError with a sentence for bad values."""

def stop() -> bool:
    """Ends sampling and tracing; the data stays until the next start(). False if none ran."""

def _distort_calibration(factor: float, /) -> None:
    """For tests: from now on calibrations find so many times what they measured."""

def running() -> bool:
    """Whether a session runs and measures. False too where the system refused the sampler's thread after a fork: start() then tries it again, and
    stop() still ends that session."""

def snapshot(*, roots: Sequence[str] | None = None, program: str | None = None) -> Profile:
    """What was measured so far in the running or last session. RuntimeError if there never was one. roots, program: as for `window`."""

def status() -> dict[str, Any]:
    """running, rate_hz, rate_had_hz (less what was missed), clock, targets, sampler_method, tracer_hook, samples (kept, retried, unresolved, missed, ticks, lowered, remote, unresolved_by {cause: samples}), tasks (state: "off", "on",
    "asyncio not met" or "unknown asyncio"; samples, names_refused), sampler_cpu_ns, tracing
    (calls, events, gated, truncated, skipped, learned, overhead_ns, memory_bytes: what the tracer holds), stream_error (a sentence, or None)."""

def costs() -> dict[str, Any]:
    """What profiling has cost in the running session, zeros where none runs; cheap enough to be asked several times a second: session (its number),
    sampler_cpu_ns, writer_cpu_ns (of the thread behind stream()), events, gated, units (events by their weight), unit_ns (what one costs, as
    calibrated), own_bytes (of tables that grow with the program)."""

def add_target(code: CodeType, rate: float = 1.0) -> None:
    """Remembered even while no session runs: the next start() arms it. Kept alive."""

def remove_target(code: CodeType, /) -> None: ...
def forget_beneath() -> None:
    """Functions that are no targets and were met beneath targets or blocks lose their events: at a closed gate those cost too. They are met again."""

def targets() -> list[tuple[CodeType, float]]: ...
def trace_everything(on: bool, /) -> None:
    """Remembered like a target."""

def enter_block(name: str, /) -> int:
    """0 if no session runs."""

def leave_block(token: int, /) -> None: ...
def hide_file(prefix: str, /) -> None:
    """Functions whose file begins with this are left out of profiles; their time and children go to their callers."""

def after_fork(callback: Callable[[], object] | None, /) -> None:
    """Called in the parent after each fork, once a thread may be started again without os.fork() warning of it. None: nothing."""

def unlink_at_exit(path: str | os.PathLike[str] | None, /) -> None:
    """One file of the process, removed when it ends by exit(3), also where Python's exit handlers do not run. None: none any more. After a fork it is the parent's alone."""

def set_thread_name(ident: int, name: str) -> None:
    """ident: threading.get_ident()."""

def stream(path: str | None, interval: float = 1.0, compact_above: int = 1048576, *, rewritten: bool = False) -> None:
    """Writes the session to a .hyprof file while it runs, every `interval` seconds and once at its end, so that a killed process leaves what it had. None ends
    that. compact_above: bytes that are appended at least before another file, with everything once, takes its place. rewritten: the caller writes the file
    anew in the end, so that profiles need not warn of what failed on the way."""

def window(*, roots: Sequence[str] | None = None, program: str | None = None) -> Profile | None:
    """What was measured since the last window, or since the session began, as a profile with an id of its own; None if no session has anything that no window
    had. The session goes on: each sample and call is in one window, and windows follow one another without a gap. What replaced sessions have left comes
    first (keep_windows). roots: folders that are taken off the names of files (the longest that fits; a file in none keeps its last part), None: names are
    whole. program: in place of the command line, None: as it was typed. MemoryError or RuntimeError (in the middle of a start or stop) and nothing is lost:
    the next window has it."""

def keep_windows(keep: bool, /) -> None:
    """Whether a session that is replaced by another leaves what no window has had (up to 16 such). False: what they left is dropped. Not on in forked
    children."""

def windows() -> tuple[int, int, int]:
    """(left, lost, nodes): how many windows replaced sessions have left; how many more their bound or memory did not allow to keep; how many calling contexts the
    session had when its last window was cut, which is what the next one costs."""

@final
class deep_function:
    """A callable that behaves as the function does and traces its calls. See needs_wrapper. Attributes not listed here are the function's."""

    def __new__(cls, function: Callable[..., Any]) -> deep_function: ...
    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...
    @property
    def __wrapped__(self) -> Callable[..., Any]: ...

def needs_wrapper(code: CodeType, /) -> bool: ...

HOOKS: Final[tuple[str, ...]]  # hooks this interpreter offers, the default first
UNSEEN_GAPS: Final[float]  # half width of the 95 % interval of what no sample met, in mean gaps between samples
