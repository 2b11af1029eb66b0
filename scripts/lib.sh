# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What the other scripts share. Sourced, never run.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CACHE=$ROOT/.cache
OLDEST=11
NEWEST=15
# The package folder lies at the root: with '' on sys.path it would hide the installed wheel.
export PYTHONSAFEPATH=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
cd "$ROOT"

say() { printf '%s\n' "$*" >&2; }
die() {
    say "hybridprof: $*"
    exit 2
}

# Runs a command with its output in a log that is shown only when the command fails.
quietly() { # LOG COMMAND...
    local log=$1
    shift
    mkdir -p "$(dirname "$log")"
    "$@" >"$log" 2>&1 || {
        local rc=$?
        tail -40 "$log" >&2
        say "failed ($rc): $*; the whole log is in $log"
        return $rc
    }
}

# True if the interpreter runs, is one we know, and has its headers.
usable_python() { # PATH
    "$1" -c "import os, sys, sysconfig
sys.exit(not (sys.version_info[0] == 3 and $OLDEST <= sys.version_info[1] <= $NEWEST and os.path.exists(os.path.join(sysconfig.get_path('include'), 'Python.h'))))" 2>/dev/null
}

# Every supported release interpreter of this machine, one path a line: pyenv's newest of each minor, else the system's.
machine_pythons() {
    local minor path versions=${PYENV_ROOT:-$HOME/.pyenv}/versions
    for ((minor = OLDEST; minor <= NEWEST; minor++)); do
        path=$(find "$versions" -maxdepth 3 -path "*/3.$minor.*/bin/python3.$minor" 2>/dev/null | sort -V | tail -1)
        [ -n "$path" ] || path=$(PATH=/usr/local/bin:/usr/bin command -v "python3.$minor" || true)
        if [ -n "$path" ] && usable_python "$path"; then echo "$path"; fi
    done
}

# The interpreter that PY names: a path, a version such as 3.13, or nothing for this machine's default.
find_python() { # [SPEC]
    local spec=${1:-} path=''
    case $spec in
    */*) path=$spec ;;
    '')
        path=$(command -v python3 || true)
        if [ -z "$path" ] || ! usable_python "$path"; then path=$(machine_pythons | head -1); fi
        [ -n "$path" ] || path=/usr/bin/python3
        ;;
    *)
        path=$(machine_pythons | grep -E "/python${spec//./\\.}\$" || true)
        [ -n "$path" ] || path=$(command -v "python$spec" || true)
        ;;
    esac
    [ -n "$path" ] || die "no interpreter called ${spec:-python3} was found; PY wants a version such as 3.13 or the path of a CPython 3.$OLDEST to 3.$NEWEST"
    if [ "$path" = /usr/bin/python3 ] && ! usable_python "$path"; then "$ROOT/scripts/setup" packages python; fi
    usable_python "$path" || die "$path is no CPython 3.$OLDEST to 3.$NEWEST with its C headers; give another one with PY=/path/to/python"
    # A pyenv shim is a script, a venv's python a link, python3 another: name the one interpreter behind them.
    "$path" -c 'import os, sys; print(os.path.realpath(getattr(sys, "_base_executable", sys.executable)))'
}

# "3.13d-1a2b3c4d": what a venv or build tree for this interpreter is called.
python_name() { # PATH
    "$1" -c 'import hashlib, sys
flags = ("d" if hasattr(sys, "gettotalrefcount") else "") + ("" if getattr(sys, "_is_gil_enabled", lambda: True)() else "t")
print(f"{sys.version_info[0]}.{sys.version_info[1]}{flags}-{hashlib.sha256(sys.executable.encode()).hexdigest()[:8]}")'
}

# One number for everything that decides what a wheel holds.
sources_hash() {
    find csrc formats hybridprof meson.build meson.options pyproject.toml README.md LICENSE -type f \
        \( -name '*.[ch]' -o -name 'meson.*' -o -name '*.py' -o -name '*.pyi' -o -name '*.typed' -o -name '*.toml' -o -name '*.html' -o -name '*.js' -o -name '*.css' -o -name '*.pth' \) -print0 |
        sort -z | xargs -0 sha256sum | sha256sum | cut -c1-16
}

# Where the test runs leave their JUnit files for whoever counts them; the name begins with the caller's label.
report_path() { # NAME
    mkdir -p "${HYBRIDPROF_REPORTS:-$CACHE/reports}"
    echo "${HYBRIDPROF_REPORTS:-$CACHE/reports}/${HYBRIDPROF_LABEL:-}$1.xml"
}

# Runs test files under pytest: what starts processes and waits for them side by side, and beside it, in a process without xdist's own threads
# and frames, what counts calls; then what takes samples or times, alone. HYBRIDPROF_LEAVE_OUT: names of files, and HYBRIDPROF_MARKS: what pytest's -m takes, for builds of an interpreter
# that differ only inside (CI's debug and JIT stages).
run_pytest() { # PYTHON LIMIT REPORT FOLDERS -- PYTEST_ARGUMENT...
    local python=$1 limit=$2 report=$3 failed=0 file folders=() left_out=() together counting alone counter
    shift 3
    while [ "$1" != -- ]; do
        folders+=("$1")
        shift
    done
    shift
    for file in ${HYBRIDPROF_LEAVE_OUT:-}; do left_out+=(! -name "$file"); done
    local counts=(-path 'tests/integration/test_tracer_*')
    local side_by_side=(-path 'tests/unit/*' -o -path 'tests/clients/*' -o -path 'tests/rollout/*' -o -path 'tests/stories/*' -o -name 'test_cli*' -o -name test_control.py -o -name test_sampler_coexistence.py -o -name test_sampler_names.py -o -name test_sampler_forks.py
        -o -name test_sampler_asyncio_unharmed.py)
    mapfile -t together < <(find "${folders[@]}" -name 'test_*.py' "${left_out[@]}" \( "${side_by_side[@]}" \) | sort)
    mapfile -t counting < <(find "${folders[@]}" -name 'test_*.py' "${left_out[@]}" \( "${counts[@]}" \) | sort)
    mapfile -t alone < <(find "${folders[@]}" -name 'test_*.py' "${left_out[@]}" ! \( "${side_by_side[@]}" -o "${counts[@]}" \) | sort)
    if [ "${HYBRIDPROF_MARKS:-}" = timing ]; then # nothing beside what measures time, and many files have no such test
        together=() counting=()
        mapfile -t alone < <(find "${folders[@]}" -name 'test_*.py' "${left_out[@]}" | sort)
    fi
    counter=''
    set -- -q ${HYBRIDPROF_MARKS:+-m "$HYBRIDPROF_MARKS"} "$@"
    if [ ${#counting[@]} -gt 0 ]; then
        timeout -k 10 "$limit" "$python" -m pytest "${counting[@]}" --junit-xml="$(report_path "$report-counting")" "$@" &
        counter=$!
    fi
    if [ ${#together[@]} -gt 0 ]; then
        timeout -k 10 "$limit" "$python" -m pytest -n 3 --dist loadfile "${together[@]}" --junit-xml="$(report_path "$report")" "$@" || failed=1
    fi
    if [ -n "${counter:-}" ]; then
        wait "$counter" || failed=1
    fi
    if [ ${#alone[@]} -gt 0 ]; then
        timeout -k 10 "$limit" "$python" -m pytest "${alone[@]}" --junit-xml="$(report_path "$report-alone")" "$@" || failed=1
    fi
    return $failed
}

# Brendan Gregg's flamegraph.pl: on PATH, or where Debian's libdevel-nytprof-perl puts it.
flamegraph_path() {
    command -v flamegraph.pl || { [ -x /usr/share/perl5/Devel/NYTProf/flamegraph.pl ] && echo /usr/share/perl5/Devel/NYTProf/flamegraph.pl; }
}
