# SPDX-License-Identifier: MIT
"""What is taken back while profiling costs more than its budgets, and when it is given back. A pure state machine: windows of the ledger in, steps out.

Down, in this order:

    halve     deep rates, up to HALVINGS times
    drop      the costliest target; then the next one
    untrace   marked functions and blocks too: nothing is traced
    lengthen  the sampling interval, to twice as much, up to LENGTHENINGS times
    off       nothing runs

A step that cannot lower the cost that is over is passed over: where only the sampler is, fewer traced calls would help nobody. As many steps of the first two kinds and of `lengthen` are
taken at once as the overrun asks for (a cost of eight times the budget needs four halvings, not four windows), so that a load that jumps is over the budget for one window.

Memory has steps of its own: what a session has gathered only grows, so that no lower rate and no dropped target gives any back.

    shed      nothing is traced, and the session begins anew, with empty tables; what it had is written first, where there is an output
    off       as above: where the tables are too large again before that was given back

Where nothing is traced any more and events cost too much all the same (on 3.11 a call of a target that lasts keeps the interpreter's hook on until it returns), what follows are the
sampler's steps, and in the end off, which ends the hook.

Halving a rate leaves the functions beneath a target with their events, which then meet a closed gate at two thirds of the cost. Where that alone would use up the headroom (Window.closed) no
halving can help, and targets go at once: with the last one what was beneath it loses its events.

A quarter of each budget is left for what happens before a step works: steps begin where a single window is over the budget, or where the mean since the last step, over two to ten
seconds, is over three quarters of it (HEADROOM). So ten seconds with a jump in them keep within the whole.

A beginning (of a session, of another rate) costs what no rate makes cheaper, and at low rates one step would be the reason for the next. So no step follows from it; but it is owed, and paid with
what later windows leave of the sampler's budget. While something is owed no step of the sampler's is given back, for that would be another beginning. Who makes it begin again and again by will (a
file that flaps) is forgiven until so much is owed as FORGIVEN seconds of the budget pay: from then on beginnings count like all else.

Up, the last step first: one for each `patience` clean windows, ten at first. A window is clean where giving the step back would leave the headroom, as far as that is known (a halving undone is twice
the cost; what a target will cost nobody knows). A step that was given back and is needed again at once doubles the patience: a target that is always too dear is tried less and less often.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, inf, log2

from .ledger import LONGEST, Window, total

HEADROOM = 0.75  # of a budget
SURE = 0.9  # of the headroom, when a step is given back: a cost right at its edge would go up and down for ever
HALVINGS = 6
LENGTHENINGS = 4
PATIENCE = 10  # clean windows
MOST_PATIENCE = 640
STEADY = 2.0  # seconds: of a shorter time the mean is no mean
SAMPLER_WINDOW = 1.0  # seconds: in a shorter one a single dear sample would look like a rate that is too high
MEGABYTE = 1_000_000  # bytes
FORGIVEN, MOST_OWED = 30.0, 60.0  # seconds of the sampler's budget: of which beginnings by will are forgiven, and which are owed at most
FLOOR = 0.001  # of a core: what each of them may always take, so that a program that sleeps is profiled at all

TRACER_KINDS = ("halve", "drop", "untrace")
SAMPLER_KINDS = ("lengthen", "off")
KINDS = (*TRACER_KINDS, "lengthen", "shed", "off")


@dataclass(frozen=True, slots=True)
class Budgets:
    """sampler, tracer: percent of the process' CPU time; memory: megabytes of tables."""

    sampler: float
    tracer: float
    memory: float = inf


@dataclass(frozen=True, slots=True)
class Step:
    """kind: one of KINDS. target: what was dropped. why: a sentence's end, what was measured."""

    kind: str
    target: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class State:
    """steps: those in force, the first one taken first. windows: since steps changed, up to ten seconds. since_up: windows since a step was given back. owed: CPU seconds of the sampler that were not
    held against it yet. willed: whoever decides what runs has changed that, and no window has closed since."""

    steps: tuple[Step, ...] = ()
    windows: tuple[Window, ...] = ()
    clean: int = 0
    patience: int = PATIENCE
    since_up: int | None = None
    owed: float = 0.0
    willed: bool = False

    def count(self, kind: str) -> int:
        return sum(1 for step in self.steps if step.kind == kind)

    @property
    def dropped(self) -> tuple[str, ...]:
        return tuple(step.target for step in self.steps if step.kind == "drop")


Shares = Callable[[], Mapping[str, float]]  # each target's share of what tracing costs, as far as it is known; asked when one has to go


def load(cost: float, budget: float, window: Window) -> float:
    """Of the budget; 1 is all of it. budget: percent."""
    allowed = _allowed(budget, window)
    return cost / allowed if allowed > 0 else inf if cost > 0 else 0.0


def _allowed(budget: float, window: Window) -> float:
    return max(budget / 100 * window.process, FLOOR * window.seconds)


def memory_load(window: Window, budgets: Budgets) -> float:
    """Of the budget, at the window's end."""
    return window.own / (budgets.memory * MEGABYTE)


def after(state: State, window: Window, budgets: Budgets, targets: Sequence[str], shares: Shares) -> State:
    """One window later. targets: those that would be traced if nothing had been dropped."""
    window, owed = _with_beginning_owed(state, window, budgets)
    state = replace(state, windows=_recent((*state.windows, window)), owed=owed, willed=False)
    since_up = None if state.since_up is None else state.since_up + 1
    tracer, sampler = _newest(state.windows, budgets)
    steady_tracer, steady_sampler = _steady(state.windows, budgets)
    memory = memory_load(window, budgets)
    in_vain = load(window.closed, budgets.tracer, window) > HEADROOM
    taken = _steps_down(state, max(tracer, steady_tracer), max(sampler, steady_sampler), in_vain, targets, shares)
    taken = _less_memory(state, (*state.steps, *taken), memory) or taken
    if taken:
        relapsed = since_up is not None and since_up <= state.patience
        patience = min(MOST_PATIENCE, 2 * state.patience) if relapsed else state.patience
        return State((*state.steps, *taken), patience=patience, owed=owed)
    if since_up is not None and since_up > state.patience:
        state, since_up = replace(state, patience=PATIENCE), None  # what was given back was not too much
    state = replace(state, since_up=since_up)
    if not state.steps:
        return state
    begins = state.steps[-1].kind in SAMPLER_KINDS
    clean = state.clean + 1 if _is_clean(state.steps[-1], tracer, sampler) and memory <= HEADROOM and not (begins and owed) else 0
    if clean < state.patience:
        return replace(state, clean=clean)
    return State(state.steps[:-1], patience=state.patience, since_up=0, owed=owed)


def _with_beginning_owed(state: State, window: Window, budgets: Budgets) -> tuple[Window, float]:
    """The window as it counts, and what is owed after it."""
    allowed = _allowed(budgets.sampler, window)
    a_second = allowed / window.seconds
    if state.windows or (state.willed and state.owed > FORGIVEN * a_second):
        return window, max(0.0, state.owed - max(0.0, allowed - window.sampler))
    return replace(window, sampler=0.0), min(max(0.0, state.owed + window.sampler - allowed), MOST_OWED * a_second)


def at_rest(state: State, window: Window, budgets: Budgets) -> State:
    """Nothing has run in this window, by somebody's will: nothing is held against what is started next, but what beginnings have cost before."""
    return State(owed=max(0.0, state.owed + window.sampler - _allowed(budgets.sampler, window)), willed=True)


def willed(state: State) -> State:
    """What runs has changed by somebody's will (other targets, another rate): windows of before tell nothing about it. Steps stay, and must be recovered from."""
    return replace(state, windows=(), clean=0, willed=True)


def _recent(windows: tuple[Window, ...]) -> tuple[Window, ...]:
    """The newest ones that lie within ten seconds, one at least."""
    first, seconds = len(windows) - 1, windows[-1].seconds
    while first > 0 and seconds + windows[first - 1].seconds <= LONGEST:
        first -= 1
        seconds += windows[first].seconds
    return windows[first:]


def _newest(windows: Sequence[Window], budgets: Budgets) -> tuple[float, float]:
    """The loads by the tracer and by the sampler just now; 0 for what cannot be told yet."""
    newest = [windows[-1]]
    while sum(each.seconds for each in newest) < SAMPLER_WINDOW and len(newest) < len(windows):
        newest.insert(0, windows[-len(newest) - 1])
    last = total(newest)
    sampler = load(last.sampler, budgets.sampler, last) if last.seconds >= SAMPLER_WINDOW else 0.0
    return load(windows[-1].tracer, budgets.tracer, windows[-1]), sampler


def _steady(windows: Sequence[Window], budgets: Budgets) -> tuple[float, float]:
    """Both in the mean, as if the headroom were none of the budget; 0 while too little time has passed."""
    mean = total(windows)
    if mean.seconds < STEADY:
        return 0.0, 0.0
    return load(mean.tracer, budgets.tracer, mean) / HEADROOM, load(mean.sampler, budgets.sampler, mean) / HEADROOM


def _steps_down(state: State, tracer: float, sampler: float, in_vain: bool, targets: Sequence[str], shares: Shares) -> tuple[Step, ...]:
    """in_vain: halving rates would not help."""
    if state.count("off"):
        return ()
    taken: tuple[Step, ...] = ()
    if tracer > 1:
        taken = _less_tracing(state, tracer, in_vain, targets, shares)
        if not taken and tracer > sampler:
            return _less_sampling(state, tracer, "tracing, though nothing is traced,")
    if sampler > 1:
        taken += _less_sampling(state, sampler, "sampling")
    return taken


def _less_tracing(state: State, over: float, in_vain: bool, targets: Sequence[str], shares: Shares) -> tuple[Step, ...]:
    if state.count("untrace"):
        return ()
    why = f"tracing took {over:.3g} times its budget"
    halvings = 0 if in_vain else min(_doublings(over), HALVINGS - state.count("halve"))
    if halvings > 0:
        return (Step("halve", why=why),) * halvings
    left = [each for each in targets if each not in state.dropped]
    return _drops(left, over, shares(), why) if left else (Step("untrace", why=why),)


def _drops(left: list[str], over: float, shares: Mapping[str, float], why: str) -> tuple[Step, ...]:
    """The costliest first, until what is left should fit; of those of which nothing is known, the one that was named last."""
    order = sorted(left, key=lambda each: (shares.get(each, 0.0), left.index(each)), reverse=True)
    all_of_them = sum(shares.get(each, 0.0) for each in left)
    gone, steps = 0.0, []
    for each in order:
        steps.append(Step("drop", each, why))
        gone += shares.get(each, 0.0)
        if all_of_them <= 0 or over * (1 - gone / all_of_them) <= HEADROOM:
            break
    return tuple(steps)


def _less_sampling(state: State, over: float, what: str) -> tuple[Step, ...]:
    why = f"{what} took {over:.3g} times its budget"
    lengthenings = min(_doublings(over), LENGTHENINGS - state.count("lengthen"))
    return (Step("lengthen", why=why),) * lengthenings or (Step("off", why=why),)


def _less_memory(state: State, steps: tuple[Step, ...], over: float) -> tuple[Step, ...]:
    """It takes the place of other steps: with a new session none of them may be needed."""
    if over <= 1 or any(step.kind == "off" for step in steps):
        return ()
    return (Step("off" if state.count("shed") else "shed", why=f"tables took {over:.3g} times their budget of memory"),)


def _doublings(over: float) -> int:
    """So many halves of the cost are within the headroom."""
    return max(1, ceil(log2(over / HEADROOM))) if over < 2**20 else 20


def _is_clean(last: Step, tracer: float, sampler: float) -> bool:
    """Whether the headroom would be left if the step were given back."""
    tracer_most, sampler_most = (HEADROOM * (SURE / 2 if last.kind == kind else 1) for kind in ("halve", "lengthen"))
    return tracer <= tracer_most and sampler <= sampler_most


@dataclass(frozen=True, slots=True)
class Easing:
    """What the steps in force mean for a session."""

    deep_share: float = 1.0  # of deep rates
    dropped: tuple[str, ...] = ()
    untraced: bool = False
    interval: float = 1.0  # times the sampling interval
    off: bool = False
    why: str = ""


def easing(state: State) -> Easing | None:
    """None where nothing is taken back."""
    if not state.steps:
        return None
    return Easing(
        deep_share=0.5 ** state.count("halve"),
        dropped=state.dropped,
        untraced=state.count("untrace") + state.count("shed") > 0,
        interval=2.0 ** state.count("lengthen"),
        off=state.count("off") > 0,
        why=state.steps[-1].why,
    )


def sheds(before: tuple[Step, ...], now: tuple[Step, ...]) -> bool:
    """Whether a step asks for a session that begins anew."""
    return len(now) > len(before) and now[-1].kind == "shed"


def described(state: State) -> list[str]:
    """The steps in force in words, for status and audit."""
    words = []
    halvings, lengthenings = state.count("halve"), state.count("lengthen")
    if halvings:
        words.append(f"deep rates are 1/{2**halvings} of what they would be")
    words += [f"target {each} is dropped" for each in state.dropped]
    if state.count("untrace"):
        words.append("nothing is traced")
    if state.count("shed"):
        words.append("nothing is traced, for its memory")
    if lengthenings:
        words.append(f"the sampling interval is {2**lengthenings} times as long")
    if state.count("off"):
        words.append("nothing runs")
    return words


def most_windows(targets: int) -> int:
    """How many windows of a second or more can be over a budget in a row at most, whatever each step saves: each of them takes a step at least, but for one after
    each of the sampler's, which tells nothing of it."""
    return HALVINGS + targets + 1 + 2 * (LENGTHENINGS + 1) + 1
