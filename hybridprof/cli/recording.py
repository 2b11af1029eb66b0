# SPDX-License-Identifier: MIT
"""One profiled run: checks where its profile is to go before anything runs, measures, and writes when all else has ended.

`finish` is registered with atexit before the program can register anything, so that it runs last: after sys.exit, an uncaught exception or
a signal that the program handles, after its threads and its own exit handlers. A .hyprof file is also written while the program runs,
for the ends that nobody sees. Nothing here may change the program's exit status.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from os import getpid

import hybridprof
from hybridprof import _core, api
from hybridprof.profile import Profile

from . import beside, rates, standard_output
from .main import BadInput, complain, os_sentence, silence_stdout

NATIVE = "hyprof"
ANY_ERROR = Exception  # under a name of ours, as `getpid`: the program may have changed what the usual names mean


@dataclass(frozen=True, slots=True)
class Output:
    """A file to write. shown: as the user gave it; path: absolute, since the program may change its directory; empty: standard output."""

    shown: str
    path: str
    format: str

    @property
    def is_standard(self) -> bool:
        return not self.path


def checked_output(path: str, otherwise: str | None = None) -> Output:
    """Raises BadInput where it cannot be written. otherwise: the format of a name that tells none, such as - for standard output."""
    if path == standard_output.NAME:
        return Output("standard output", "", standard_output.check(otherwise))
    name = _core.format_for_path(path) or otherwise
    known = {each[0]: each for each in _core.formats() if each[4]}
    if name is None:
        raise BadInput(f"cannot tell a format from the name {path!r}; use {_endings(list(known.values()))}")
    if name not in known:
        raise BadInput(f"format {name!r} of {path!r} can be read but not written; use {_endings(list(known.values()))}")
    full = os.path.abspath(path)
    folder = os.path.dirname(full)
    if os.path.isdir(full):
        raise BadInput(f"cannot write {path!r}: it is a folder")
    if not os.path.isdir(folder):
        raise BadInput(f"cannot write {path!r}: there is no folder {folder!r}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise BadInput(f"cannot write {path!r}: folder {folder!r} is not writable")
    if os.path.exists(full) and not os.access(full, os.W_OK):
        raise BadInput(f"cannot write {path!r}: the file that is there is read-only")
    return Output(path, full, name)


def checked_format(format: str | None) -> str | None:
    """Raises BadInput for one that cannot be written."""
    writable = [name for name, _, _, _, can_write in _core.formats() if can_write]
    if format is not None and format not in writable:
        raise BadInput(f"there is no format {format!r} to write; use one of {', '.join(writable)}")
    return format


def _endings(formats: list[_core.Format]) -> str:
    return ", ".join(ending for _, suffixes, prefix, _, _ in formats for ending in (*suffixes, *([prefix + "*"] if prefix else [])))


@dataclass(slots=True)
class Recording:
    """From `begin` to `finish`, in the process that began it."""

    profiler: hybridprof.Profiler
    outputs: list[Output]
    show: Callable[[Profile], None] | None = None
    quiet: bool = False
    pid: int = field(default_factory=getpid)
    _ended: bool = False
    _diversion: standard_output.Diversion | None = None
    _before: dict[str, beside.Identity | None] = field(default_factory=dict)

    def begin(self) -> None:
        """Raises BadInput where the interpreter or the system cannot do what was asked."""
        for prefix in _own_files():
            _core.hide_file(prefix)
        api.profile_class()
        atexit.register(self.finish)
        self._before = {output.path: beside.identity(output.path) for output in self.outputs if not output.is_standard}
        native = [output for output in self.outputs if output.format == NATIVE and not output.is_standard]
        if any(output.is_standard for output in self.outputs):
            self._diversion = standard_output.Diversion()
        try:
            self.profiler.watch.defer_everything()
            self.profiler.start()
            if native:
                _core.stream(native[0].path, rewritten=True)
        except (RuntimeError, ValueError, OSError) as error:
            self.abandon()
            raise BadInput(str(error)) from None

    def program_begins(self) -> None:
        """The last thing before the program's first line: only from here on is everything traced."""
        self.profiler.watch.begin_everything()

    def program_ended(self) -> None:
        """The main thread has left the program. What follows is the interpreter's, unless other threads still run: whole-program tracing ends here, sampling at `finish`."""
        try:
            _, *others = sys.modules["threading"]._active  # asked without calling anything: calls of ours would be traced
        except (KeyError, AttributeError, ValueError, RuntimeError):
            others = []
        try:
            if not others:
                self.profiler.watch.end_everything()
        except ANY_ERROR:  # it would take the place of what the program raised; `finish` ends the tracing too
            pass

    def abandon(self) -> None:
        """Ends it as if it had never begun."""
        self._ended = True
        atexit.unregister(self.finish)
        if self._diversion is not None:
            self._diversion.undo()
        self.profiler.stop()

    def finish(self) -> None:
        """Stops, shows, writes and says where. A child that was forked from here is another process, and none of this is its business."""
        if self._ended or getpid() != self.pid:
            return
        self._ended = True
        try:
            self._finish()
        except ANY_ERROR as error:  # whatever it is, the program's exit status stands
            complain(f"the profile was lost: {type(error).__name__}: {error}")

    def _finish(self) -> None:
        self.profiler.stop()
        profile = self.profiler.profile
        if profile.meta["pid"] == 0:  # a configuration let nothing run
            complain("nothing was measured: " + "; ".join(profile.meta["warnings"]))
            return
        if self.show is not None:
            self._show(profile)
        # Standard output last: its reader may be gone, and files are not to suffer for it.
        ordered = sorted(self.outputs, key=lambda output: output.is_standard)
        ordered = [self._placed(profile, output) for output in ordered]
        written = [output for output in ordered if self._write(profile, output) and not output.is_standard]
        if self.quiet:
            return
        for warning in (*self.profiler.warnings, *filter(None, [rates.complaint(profile.meta)])):
            complain(warning)
        if written:
            names = ", ".join(output.shown for output in written)
            can_read = [NATIVE, *(name for name, _, _, read, _ in _core.formats() if read)]
            readable = min(
                (output for output in written if output.format in can_read), key=lambda output: can_read.index(output.format), default=None
            )
            complain(f"wrote {names}" + (f"; see it with: hybridprof report {readable.shown}" if readable else ""))

    def _placed(self, profile: Profile, output: Output) -> Output:
        """The output, or beside it where its name is another program's by now."""
        if output.is_standard or not beside.is_anothers(output.path, self._before[output.path], profile):
            return output
        path = beside.free_name(output.path, output.format)
        shown = os.path.join(os.path.dirname(output.shown), os.path.basename(path))
        complain(f"{output.shown} is another program's by now: this profile is in {shown}")
        return Output(shown, path, output.format)

    def _write(self, profile: Profile, output: Output) -> bool:
        try:
            if output.is_standard and self._diversion is not None:
                self._diversion.write(profile, output.format)
            else:
                profile.write(output.path, output.format)
        except OSError as error:
            complain(f"could not write {output.shown}: {os_sentence(error)}")
            return False
        except ValueError as error:
            complain(f"could not write {output.shown}: {error}")
            return False
        return True

    def _show(self, profile: Profile) -> None:
        assert self.show is not None
        try:
            self.show(profile)
            sys.stdout.flush()
        except BrokenPipeError:
            silence_stdout()
        except (OSError, ValueError, AttributeError) as error:
            complain(f"the table could not be printed: {error}")


def _own_files() -> set[str]:
    """The files of the frames that started us: the entry script, or what runs modules."""
    files = set()
    frame = sys._getframe()
    while frame is not None:
        files.add(frame.f_code.co_filename)
        frame = frame.f_back  # type: ignore[assignment]
    return files
