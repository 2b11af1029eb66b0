"""The measuring core. One session per process; every function is safe from any thread. Times are ns, rates Hz."""

from collections.abc import Callable, Sequence
from types import CodeType
from typing import Any, Final, Literal, final

class FormatError(ValueError):
    """A file or path is not what it should be; the message is one sentence with the path. Also raised for unknown formats."""

@final
class Profile:
    """Finished, immutable data. Every method may be called from any thread; `write` releases the GIL."""

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
    def threads(self) -> list[dict[str, Any]]:
        """name, native_id, root (node or None), samples, traced_samples, measured_ns, sampled_ns, exact_ns, overhead_ns, unresolved_ns, residual_ns."""
    def lines(self) -> list[tuple[int, int, int, int, str]]:
        """(node, line, samples, sampled_ns, state); line 0 where it is not known. Several places of one line are one item, several states are not."""

    def select(self, states: Sequence[str], /) -> Profile:
        """The samples in these states as a Profile. Raises ValueError for an unknown name."""
    def write(self, path: str, format: str | None = None) -> None:
        """Atomically, without the GIL. FormatError for a format that is unknown or not told by the name, OSError for what the system refused."""
    def encode(self, format: str) -> bytes: ...

def formats() -> list[tuple[str, tuple[str, ...], str | None, bool, bool]]:
    """(name, suffixes, prefix, can_read, can_write)."""

def format_for_path(path: str, /) -> str | None: ...
def load(path: str, /) -> Profile:
    """By content. FormatError or OSError, each one sentence."""

# --- the session --------------------------------------------------------------------------------------------------------------------

def start(
    *,
    rate: float = 100.0,
    clock: Literal["wall", "cpu"] = "wall",
    method: Literal["auto", "same-cpu", "remote"] = "auto",
    hook: Literal["auto", "monitoring", "setprofile"] = "auto",
    c_calls: bool = False,
    seed: int = 0,
    budget: float = 0.0,
) -> bool:
    """Starts the session. False (and nothing changed) if one runs or the interpreter is ending. rate 0: no sampler, tracing only.
    budget: percent of one core that recording may take, 0: no limit; over it a smaller share of the targets' calls is traced.
    ValueError with a sentence for bad values. A tracer that cannot start is a warning in the profile, not an error."""

def stop() -> bool:
    """Ends sampling and tracing; the data stays until the next start(). False if none ran."""

def running() -> bool: ...
def snapshot() -> Profile:
    """What was measured so far in the running or last session. RuntimeError if there never was one."""

def status() -> dict[str, Any]:
    """running, rate_hz, clock, targets, sampler_method, tracer_hook, samples (kept, retried, unresolved, missed, remote, unresolved_by {cause: samples}), sampler_cpu_ns, tracing
    (calls, events, gated, truncated, skipped, learned, overhead_ns), stream_error (a sentence, or None)."""

def add_target(code: CodeType, rate: float = 1.0) -> None:
    """Remembered even while no session runs: the next start() arms it. Kept alive."""

def remove_target(code: CodeType, /) -> None: ...
def targets() -> list[tuple[CodeType, float]]: ...
def trace_everything(on: bool, /) -> None:
    """Remembered like a target."""

def enter_block(name: str, /) -> int:
    """0 if no session runs."""

def leave_block(token: int, /) -> None: ...
def hide_file(prefix: str, /) -> None:
    """Functions whose file begins with this are left out of profiles; their time and children go to their callers."""

def set_thread_name(ident: int, name: str) -> None:
    """ident: threading.get_ident()."""

def stream(path: str | None, interval: float = 1.0) -> None:
    """Writes the session to a .hyprof file while it runs, every `interval` seconds and once at its end, so that a killed process leaves what it had. None ends that."""

@final
class deep_function:
    """A callable that behaves as the function does and traces its calls. See needs_wrapper. Attributes not listed here are the function's."""

    def __new__(cls, function: Callable[..., Any]) -> deep_function: ...
    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...
    @property
    def __wrapped__(self) -> Callable[..., Any]: ...

def needs_wrapper(code: CodeType, /) -> bool: ...

HOOKS: Final[tuple[str, ...]]  # hooks this interpreter offers, the default first
