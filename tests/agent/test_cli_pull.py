"""`gemmagraph pull`, against servers that tell what Ollama tells."""

import asyncio
import json
import os
import re
import select
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import aclosing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gemmagraph.backends.network.http import Bounds
from gemmagraph.backends.ollama.backend import OllamaBackend
from gemmagraph.backends.ollama.pull import MOST_IDLE, MOST_NEWS, TRIES, Progress
from gemmagraph.cli import main
from gemmagraph.cli.published import near, order
from gemmagraph.cli.pull import Meter, duration, gigabytes
from gemmagraph.errors import ServerError, TruncatedReply

GB = 1_000_000_000
MANIFEST = {"status": "pulling manifest"}
END = [{"status": "verifying sha256 digest"}, {"status": "writing manifest"}, {"status": "success"}]
CUT, BROKEN, HANG = object(), object(), object()
"""The connection ends in order within a line; it breaks; nothing more comes."""


def layer(name: str, done: float, total: float) -> dict[str, Any]:
    return {
        "status": f"pulling {name}",
        "digest": f"sha256:{name}",
        "total": round(total * GB),
        "completed": round(done * GB),
    }


@pytest.fixture
def pulls(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., list[dict[str, Any]]]]:
    """`pulls(*answers)`: an Ollama that gives these, one for each connection; what it was asked. OLLAMA_HOST names
    it. An answer is the list of what it tells, or (status, body)."""
    servers: list[ThreadingHTTPServer] = []
    over = threading.Event()

    def serving(*answers: Any) -> list[dict[str, Any]]:
        asked: list[dict[str, Any]] = []

        class Registry(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))) | {"path": self.path})
                answer = answers[min(len(asked), len(answers)) - 1]
                if isinstance(answer, tuple):
                    self.send_response(answer[0])
                    self.end_headers()
                    self.wfile.write(answer[1].encode())
                    return
                self.send_response(200)
                self.send_header("Content-Type", "application/x-ndjson")
                if BROKEN in answer:
                    self.send_header("Content-Length", "1000000")
                self.end_headers()
                for told in answer:
                    if told is HANG:
                        over.wait(20)
                    elif told is CUT:
                        self.wfile.write(b'{"status": "pul')
                    elif told is not BROKEN:
                        self.wfile.write(json.dumps(told).encode() + b"\n")
                        self.wfile.flush()

            def log_message(self, format: str, *args: object) -> None:
                """Nothing: standard error is pytest's."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Registry)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        servers.append(server)
        monkeypatch.setenv("OLLAMA_HOST", f"127.0.0.1:{server.server_port}")
        return asked

    yield serving
    over.set()
    for server in servers:
        server.shutdown()
        server.server_close()


def ran(*args: str) -> Result:
    return CliRunner().invoke(main, ["pull", *args])


def test_a_line_is_told_for_each_tenth_and_layers_are_added_up(pulls) -> None:
    parts = [layer("aaa", part / 100 * 3, 3) for part in range(101)]
    asked = pulls([MANIFEST, *parts, layer("bbb", 0, 1), layer("bbb", 1, 1), *END])
    result = ran("ollama:gemma3:4b")
    assert result.exit_code == 0, result.output
    assert asked[0]["model"] == "gemma3:4b"
    lines = [re.sub(r", [\d.]+ MB/s.*", "", line) for line in result.stderr.splitlines()]
    tenths = [f"gemma3:4b: {part} %, {part * 0.03:.1f} of 3.0 GB" for part in range(0, 101, 10)]
    assert lines == [
        "gemma3:4b: pulling manifest",
        *tenths,
        "gemma3:4b: 100 %, verifying sha256 digest",
        "gemma3:4b: 100 %, writing manifest",
        'gemma3:4b is here (4.0 GB). Ask it: gemmagraph run -m ollama:gemma3:4b "…"',
    ]
    assert result.stdout == ""


def test_what_was_there_is_said(pulls) -> None:
    pulls([MANIFEST, layer("aaa", 3, 3), *END])
    assert "gemma3:4b was here already, and is up to date (3.0 GB)." in ran("gemma3:4b").stderr


def test_a_connection_that_breaks_is_made_anew_and_that_is_said(pulls) -> None:
    first = [MANIFEST, layer("aaa", 0, 4), layer("aaa", 2, 4), BROKEN]
    asked = pulls(first, [MANIFEST, layer("aaa", 2, 4), layer("aaa", 4, 4), *END])
    result = ran("gemma3:4b")
    assert result.exit_code == 0, result.output
    assert len(asked) == 2
    assert re.search(r"The connection to Ollama at \S+ broke; it is made anew\.", result.stderr)
    assert result.stderr.count("50 %") == 1
    assert "is here (4.0 GB)" in result.stderr


def told() -> list[Progress]:
    """All that the backend tells, with short pauses."""

    async def hear() -> list[Progress]:
        backend = OllamaBackend(bounds=Bounds(pause=0.001))
        async with aclosing(backend.pull("gemma3:4b")) as states:
            return [state async for state in states]

    return asyncio.run(asyncio.wait_for(hear(), 20))


@pytest.mark.parametrize("end", [BROKEN, CUT, None], ids=["breaks off", "cut within a line", "ends without success"])
def test_what_came_before_a_break_counts_once(pulls, end: object) -> None:
    first = [MANIFEST, layer("aaa", 1, 4), layer("aaa", 2, 4), *([end] if end else [])]
    asked = pulls(first, [MANIFEST, layer("aaa", 1.5, 4), layer("aaa", 4, 4), *END])
    states = told()
    assert len(asked) == 2
    assert [state.doing for state in states if state.notice] == ["connecting again"]
    last = states[-1]
    assert (last.doing, last.done, last.total, last.fresh) == ("success", 4 * GB, 4 * GB, 3.5 * GB)


def test_connections_that_only_break_are_given_up(pulls) -> None:
    asked = pulls([MANIFEST, layer("aaa", 1, 4), BROKEN])
    with pytest.raises(TruncatedReply, match="broke 7 times in a row"):
        told()
    assert len(asked) == TRIES


def test_one_that_gets_further_each_time_is_not_given_up(pulls) -> None:
    steps = [[MANIFEST, layer("aaa", at, 9), layer("aaa", at + 1, 9), BROKEN] for at in range(8)]
    asked = pulls(*steps, [MANIFEST, layer("aaa", 8, 9), layer("aaa", 9, 9), *END])
    assert told()[-1].doing == "success"
    assert len(asked) == 9


ENDLESS = {
    "a line without end": (["x" * 100_000], "more than 65,536 bytes in a line"),
    "nothing new": ([layer("aaa", 1, 4)] * (MOST_IDLE + 2), "told 20,000 times in a row nothing new"),
    "layers without end": ([layer(str(at), 0, 1) for at in range(MOST_NEWS + 1)], "of more than 1,000 layers"),
    "things to do without end": ([{"status": str(at)} for at in range(MOST_NEWS + 1)], "of more than 1,000 layers"),
}


@pytest.mark.parametrize("what", ENDLESS)
def test_a_server_that_tells_without_end_is_left(pulls, what: str) -> None:
    lines, words = ENDLESS[what]
    asked = pulls([MANIFEST, *lines, HANG])
    with pytest.raises(ServerError, match=words) as caught:
        told()
    assert " address" in caught.value.hint
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (
            "pull model manifest: file does not exist",
            r"knows no model 'gemma3:5b' to pull\. Did you mean gemma3:4b or ",
        ),
        (
            "write /root/.ollama/models/blobs/sha256-1: no space left on device",
            r"no space left for 'gemma3:5b'\. Free some .*OLLAMA_MODELS.* goes on where it stopped",
        ),
        (
            'max retries exceeded: Get "https://r2.example/blob?X-Amz-Signature=5ecret": dial tcp: no such host',
            r'does not get through to the registry: .*"https://r2\.example/blob": .*its network and at its disk',
        ),
        (
            "pull model manifest: 412: The model you are pulling requires a newer version of Ollama.",
            r"needs a newer Ollama .*https://ollama\.com/download",
        ),
        ("pull model manifest: 401: unauthorized", r"may not pull 'gemma3:5b'.*ollama signin"),
        ("digest mismatch, file must be downloaded again", r"could not pull 'gemma3:5b': digest mismatch"),
    ],
    ids=["unknown", "no space", "network", "too old", "unauthorized", "other"],
)
def test_what_the_server_refuses_is_said_with_what_to_do(pulls, words: str, shown: str) -> None:
    asked = pulls([MANIFEST, {"error": words}])
    result = ran("gemma3:5b")
    assert (result.exit_code, len(asked)) == (1, 1)
    assert re.search(shown, result.stderr), result.stderr
    assert "5ecret" not in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        ((404, "404 page not found"), "Check the address: is it Ollama that answers there?"),
        ((200, "<html>Sign in</html>"), "is not Ollama's protocol"),
        ((400, '{"error": "invalid model name"}'), "knows no model"),
        ((401, ""), "OLLAMA_API_KEY"),
    ],
    ids=["another server", "a page", "a name that is none", "a key is wanted"],
)
def test_what_is_no_ollama_is_said(pulls, answer: tuple[int, str], shown: str) -> None:
    pulls(answer)
    result = ran("gemma3:4b")
    assert result.exit_code == 1
    assert shown in result.stderr


def test_no_ollama_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:1")
    result = ran("gemma3:4b")
    assert result.exit_code == 1
    assert "cannot be reached" in result.stderr
    assert "ollama serve" in result.stderr


@pytest.mark.parametrize("name", ["", "ollama:", "openai:gemma3", "gguf:file.gguf", "builtin"])
def test_what_ollama_cannot_pull_is_refused(name: str) -> None:
    result = ran(name)
    assert result.exit_code == 1
    assert "Say for example gemma3:4b." in result.stderr


def test_one_that_is_no_gemma_is_pulled_with_a_word_about_it(pulls) -> None:
    pulls([MANIFEST, *END])
    result = ran("llama3")
    assert result.exit_code == 0
    assert "llama3 is no Gemma by its name" in result.stderr
    assert result.stderr.splitlines()[-1] == "llama3 is here."


def test_one_that_calls_no_tools_is_told_as_such(pulls) -> None:
    pulls([MANIFEST, *END])
    assert "calls no tools" in ran("embeddinggemma:300m").stderr


def test_the_official_stand_in_is_pulled_from(ollama, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", ollama.url)
    result = ran("gemma3:1b")
    assert result.exit_code == 0, result.output
    assert "gemma3:1b is here" in result.stderr


ON_THE_TERMINAL = """
import os, runpy, sys
os.login_tty(0)
sys.argv[0] = "gemmagraph"
runpy.run_module("gemmagraph", run_name="__main__")
"""


def on_a_terminal(*args: str) -> tuple[subprocess.Popen[bytes], int]:
    keys, theirs = os.openpty()
    termios.tcsetwinsize(keys, (24, 80))
    process = subprocess.Popen(
        [sys.executable, "-c", ON_THE_TERMINAL, *args],
        **dict.fromkeys(("stdin", "stdout", "stderr"), theirs),
        env=os.environ | {"TERM": "xterm", "NO_COLOR": "1"},
    )
    os.close(theirs)
    return process, keys


def read_until(keys: int, words: str, seen: str = "") -> str:
    by = time.monotonic() + 20
    while words not in seen:
        assert select.select([keys], [], [], max(by - time.monotonic(), 0))[0], f"{words!r} did not come:\n{seen}"
        try:
            seen += os.read(keys, 65536).decode()
        except OSError:  # its end
            raise AssertionError(f"{words!r} did not come:\n{seen}") from None
    return seen


def test_ctrl_c_stops_it_and_says_that_it_can_go_on(pulls) -> None:
    pulls([MANIFEST, layer("aaa", 1, 4), layer("aaa", 2, 4), HANG])
    process, keys = on_a_terminal("pull", "gemma3:4b")
    try:
        seen = read_until(keys, "50 %  2.0 of 4.0 GB")
        assert "━" in seen
        assert "\x1b[3" not in seen, "NO_COLOR is set"
        os.write(keys, b"\x03")
        seen = read_until(keys, "goes on from there.", seen)
        assert "Stopped. What has come is kept: gemmagraph pull gemma3:4b" in seen
        assert seen.rfind("\x1b[?25h") > seen.rfind("\x1b[?25l"), "the cursor is hidden still"
        assert process.wait(10) == 130
    finally:
        process.kill()
        process.wait()
        os.close(keys)


def test_ctrl_c_without_a_terminal_stops_it_too(pulls) -> None:
    pulls([MANIFEST, layer("aaa", 1, 4), HANG])
    command = [sys.executable, "-m", "gemmagraph", "pull", "gemma3:4b"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "gemma3:4b: pulling manifest\n"
        assert process.stderr.readline() == "gemma3:4b: 25 %, 1.0 of 4.0 GB\n"
        process.send_signal(signal.SIGINT)
        assert "goes on from there" in process.communicate(timeout=20)[1]
        assert process.returncode == 130


def test_the_rate_is_that_of_the_last_seconds() -> None:
    meter = Meter()
    assert meter.rate(0, 100.0) == meter.rate(40, 100.1) == 0
    assert meter.rate(50, 101.0) == 50
    for second in range(2, 40):
        rate = meter.rate(50 + second * 7, 100.0 + second)
    assert rate == pytest.approx(7)


def test_numbers_are_written_for_people() -> None:
    assert [duration(seconds) for seconds in (0.4, 35, 95, 3723)] == ["0:00", "0:35", "1:35", "1:02:03"]
    assert [gigabytes(size) for size in (815_319_791, 3_338_801_804)] == ["815 MB", "3.3 GB"]


@pytest.mark.parametrize(
    ("name", "first"),
    [("gemma3:5b", "gemma3:4b"), ("google/gemma-3-12b-it", "gemma3:12b"), ("gemm3:1b", "gemma3:1b"),
     ("gemma4:e3b", "gemma4:e4b"), ("medgemma:12b", "medgemma:4b")],
)  # fmt: skip
def test_the_nearest_published_name_comes_first(name: str, first: str) -> None:
    assert first in near(name)
    assert near("llama-guard") == []


def test_names_are_in_the_order_of_family_and_size() -> None:
    names = ["gemma3:12b", "gemma3:270m", "gemma2:9b", "gemma3:4b", "hf.co/x/gemma-3-4b-it-GGUF:Q4", "gemma3:1b"]
    assert sorted(names, key=order)[1:] == [*("gemma2:9b", "gemma3:270m", "gemma3:1b", "gemma3:4b", "gemma3:12b")]
