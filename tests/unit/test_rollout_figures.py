# SPDX-License-Identifier: MIT
"""What the judge reads: numbers, JSON and Prometheus' text format, and the sentence for what is none of them."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from conftest import RunCli
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridprof.rollout.figures import Histogram, Values, from_text, read
from hybridprof.rollout.prometheus import Names

EXPOSED = r"""# HELP http_request_duration_seconds Latency.
# TYPE http_request_duration_seconds histogram
http_request_duration_seconds_bucket{path="/a \"b\"\\,}",le="0.1"} 50
http_request_duration_seconds_bucket{path="/a \"b\"\\,}",le="0.2"} 90 # {trace_id="x"} 0.17 1.6e9
http_request_duration_seconds_bucket{path="/a \"b\"\\,}",le="+Inf",} 100 1395066363000
http_request_duration_seconds_bucket{path="/c",le="0.1"} 50
http_request_duration_seconds_bucket{path="/c",le="0.2"} 110
http_request_duration_seconds_bucket{path="/c",le="+Inf"} 110
http_request_duration_seconds_sum{path="/c"} 10.5
http_request_duration_seconds_count{path="/c"} 110
http_requests_total{status="200"} 205
http_requests_total{status="500"} 3
http_requests_total{status="503"} 2
process_cpu_seconds_total 42.0
worker_restarts_total{slot="1"} 1
worker_restarts_total{slot="2"} 2
go_gc_duration_seconds{quantile="0.5"} NaN
# EOF
"""

SUMMARY = """latency_seconds{instance="a",quantile="0.5"} 0.1
latency_seconds{instance="a",quantile="0.95"} 0.4
latency_seconds_count{instance="a"} 1000
latency_seconds{instance="b",quantile="0.5"} 0.2
latency_seconds{instance="b",quantile="0.95"} NaN
latency_seconds_count{instance="b"} 500
requests_errors_total{instance="b"} 7
up 1
"""


def test_numbers_are_one_hosts_latencies() -> None:
    (host,) = from_text("# ms\n\n" + "\n".join(str(number) for number in range(1, 101)) + "\n")
    assert (host.percentile(0.5), host.percentile(0.95)) == (50, 95)
    assert from_text("1\n2\n")[0].percentile(0.5) is None  # too few


def test_a_histogram_is_added_up_and_read_as_prometheus_reads_it() -> None:
    (host,) = from_text(EXPOSED)
    assert host.latency is not None and host.latency.count == 210
    assert host.percentile(0.5) == pytest.approx(0.1 + 0.1 * 5 / 100)  # rank 105, of 100 below 0.1 s and 200 below 0.2
    assert (host.requests, host.errors, host.restarts, host.cpu) == (210, 5, 3, (42.0, 210))


def test_a_summary_by_instance() -> None:
    first, second = from_text(SUMMARY)
    assert (first.p50, first.p95, first.requests, first.errors) == (0.1, 0.4, 1000, None)
    assert (second.p50, second.p95, second.requests, second.errors) == (0.2, None, 500, 7)


def test_names_that_are_not_usual() -> None:
    text = 'wait_bucket{le="1"} 5\nwait_bucket{le="+Inf"} 5\nserved 5\nbroken 1\nborn 2\n'
    (host,) = from_text(text, Names("wait", "served", "broken", "born"))
    assert host.latency is not None and (host.requests, host.errors, host.restarts) == (5, 1, 2)


def test_hosts_as_json() -> None:
    first, second = from_text(
        json.dumps({"hosts": [{"host": "a", "latency": [1, 2], "requests": 9, "cpu_seconds": 3}, {"p50": 1, "cpu_per_request": 0.5}]})
    )
    assert first.latency is not None and first.latency.count == 2 and first.cpu == (3, 9)
    assert second.percentile(0.5) == 1 and second.cpu == (0.5, 1)
    assert len(from_text("[1, 2.5, 3]")) == 1 and len(from_text('[{"p50": 1}]')) == 1 and len(from_text('{"restarts": 0}')) == 1


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 10), min_size=1, max_size=60), st.floats(0, 1))
def test_a_histogram_and_its_values_agree_to_a_bucket(values: list[float], share: float) -> None:
    bounds = [0.5 * step for step in range(21)]
    counts = [float(sum(value <= bound for value in values)) for bound in bounds]
    found, exact = Histogram([*bounds, float("inf")], [*counts, float(len(values))]).at(share), Values(values).at(share)
    assert found <= 10 and (abs(found - exact) <= 0.5 + 1e-9 or share * len(values) < 1)


BAD = [
    ("", "it holds no figures; give numbers, JSON or Prometheus' text format"),
    ("1\nx\n", "line 2: 'x' is no figure; give a number that is 0 or more"),
    ("1\n\n-3\n", "line 3: '-3' is no figure; give a number that is 0 or more"),
    ("1\nnan\n", "line 2: 'nan' is no figure; give a number that is 0 or more"),
    ("{\n", "line 2: it is no JSON: Expecting property name enclosed in double quotes"),
    ("[" * 100_000, "it is JSON that is nested too deeply, or has too long a number"),
    ("[]", "it holds no figures; give at least one host"),
    ("[true]", "latency 1: 'True' is no figure; give a number that is 0 or more"),
    ("[1, [2]]", "latency 2: 'list' is no figure; give a number that is 0 or more"),
    ('[{"p50": 1}, 2]', 'host 2: \'2\' is no object; give {"latency": [...], "cpu_seconds": ..., ...}'),
    ('{"p95": "1e999"}', "host 1, p95: '1e999' is no figure; give a number that is 0 or more"),
    ('{"p99": 1}', "host 1: there is no figure 'p99'; use latency, p50, p95, requests, errors, restarts, cpu_seconds, cpu_per_request"),
    ('{"latency": []}', "host 1, latency: 'list' is no list of latencies; give a list of numbers"),
    ('{"errors": 2, "requests": 1}', "host 1: 2 errors of 1 requests; give at most as many errors as requests"),
    ('{"cpu_seconds": 2}', "host 1: cpu_seconds says nothing without requests; give both, or cpu_per_request"),
    ("a{b} 1\n", "line 1: 'a{b} 1' is neither a number nor a sample; write `name{label=\"text\"} 1.5`"),
    ("a 1 2 3 4\n", "line 1: 'a 1 2 3 4' is neither a number nor a sample; write `name{label=\"text\"} 1.5`"),
    ('d_latency_bucket{le="1"} 5\n', 'the buckets of d_latency do not grow up to le="+Inf"; they are cumulative counts'),
    (
        'd_latency_bucket{le="1"} 5\nd_latency_bucket{le="+Inf"} 4\n',
        'the buckets of d_latency do not grow up to le="+Inf"; they are cumulative counts',
    ),
    ("d_latency_bucket 5\n", "a bucket of d_latency has no number as its `le`"),
    (
        'a_latency{quantile="0.5",p="1"} 1\na_latency{quantile="0.5",p="2"} 1\n',
        "the summary a_latency has 2 sets of labels, and quantiles do not add up; give one set, or a histogram",
    ),
    ('a_latency{quantile="x"} 1\n', "a quantile of a_latency is 'x'; it is a number from 0 to 1"),
    (
        'a_latency{quantile="0.5"} 1\nb_latency{quantile="0.5"} 1\n',
        "it has several latencies: a_latency, b_latency; name one with --latency",
    ),
    ("a_requests_total 1\nb_requests_total 1\n", "it has several counters: a_requests_total, b_requests_total; name one with --requests"),
    ("requests_total 1\nrequests_errors_total 2\n", "2 errors of 1 requests; name the right counters with --requests and --errors"),
]


@pytest.mark.parametrize(("text", "sentence"), BAD, ids=range(len(BAD)))
def test_what_is_no_figure_is_said_in_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        from_text(text)
    assert str(caught.value) == sentence


pieces = st.sampled_from(
    [
        "a_latency_bucket",
        '{le="',
        '"}',
        " 1",
        "\n",
        "{",
        "}",
        "[",
        "]",
        ",",
        '"',
        "\\",
        "+Inf",
        "NaN",
        "1e400",
        ":",
        "-",
        '"p50"',
        "#",
        "9" * 5000,
    ]
)


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.text(), st.lists(pieces, max_size=30).map("".join)))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        said = "figures" if from_text(text) else ""
    except ValueError as error:
        said = str(error)
    assert said and "\n" not in said


def test_a_long_hostile_line_takes_no_time() -> None:
    for line in ("a{" + 'b="\\"' * 20_000, "a{" + "x" * 200_000, "a " + " " * 200_000, 'a{b="c",' * 10_000):
        with pytest.raises(ValueError, match="neither"):
            from_text(line)


def test_a_folder_is_its_files(tmp_path: Path) -> None:
    for name in ("b", "a", ".hidden"):
        (tmp_path / name).write_text('{"p50": 1}')
    assert len(read([tmp_path, tmp_path / "a"])) == 3
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="the folder holds no file; give files of figures"):
        read([tmp_path / "empty"])
    (tmp_path / "a").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match="a: it is not UTF-8 text; give numbers, JSON or Prometheus' text format"):
        read([tmp_path])


@pytest.fixture
def lists(tmp_path: Path) -> Path:
    rng = random.Random(1)
    for name, scale in (("same", 1.0), ("control", 1.0), ("slow", 1.3)):
        (tmp_path / name).write_text("".join(f"{rng.lognormvariate(0, 0.1) * scale}\n" for _ in range(8000)))
    return tmp_path


def test_exit_statuses_of_the_command_line(lists: Path, run_cli: RunCli) -> None:
    wide = ["--tolerance", "p50=3", "--tolerance", "p95=3"]
    done = run_cli("judge", "--canary", "same", "--control", "control", *wide, status=0)
    assert done.stdout.startswith("pass: 1 host with the change against 1 host without\n  p50: median latency is ")
    assert "not known of either side, and not judged: cpu, errors, restarts" in done.stdout
    failed = run_cli("judge", "--canary", "slow", "--control", "control", status=1)
    assert failed.stdout.startswith("fail: ")
    unsure = run_cli("judge", "--canary", "same", "--control", "control", "--tolerance", "p95=0", "--json", status=3)
    found = json.loads(unsure.stdout)
    assert found["verdict"] == "not enough data" and found["hosts"] == {"canary": 1, "control": 1}
    assert [(each["name"], each["scale"], each["tolerance"]) for each in found["figures"]] == [
        ("p50", "relative", 0.02),
        ("p95", "relative", 0.0),
    ]
    assert run_cli("judge", "--canary", "same", "--control", "control", "--tolerance", "p95=0", "--json", status=3).stdout == unsure.stdout


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--canary", "none", "--control", "control"], "none: No such file or directory"),
        (["--canary", "same"], "a canary is compared with something: give --canary FILE and --control FILE"),
        (
            ["--tolerance", "p99=1"],
            "--tolerance 'p99=1' names no figure; write one of p50=NUMBER, p95=NUMBER, cpu=NUMBER, errors=NUMBER, restarts=NUMBER",
        ),
        (["--tolerance", "p95=x"], "--tolerance 'p95=x' has no number; write for instance p95=2"),
        (["--tolerance", "p95=nan"], "the tolerance of p95 must be 0 or more, not nan"),
        (["--level", "0"], "--level must be from 0.01 to 50 percent, not 0"),
        (["--looks", "0"], "looks is how often the same rollout is judged, from 1 to 1000, not 0"),
    ],
)
def test_bad_input_of_the_command_line(lists: Path, run_cli: RunCli, options: list[str], sentence: str) -> None:
    files = [] if "--canary" in options else ["--canary", "same", "--control", "control"]
    assert run_cli("judge", *files, *options, status=2).stderr == f"hybridprof: {sentence}\n"
