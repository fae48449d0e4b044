"""Whatever happens to a reply on its way, the end is the right reply or the right error: 1,000 seeded runs.

Each run asks through a proxy (`fault_proxy.py`) that does one fault (`faults.py`) to some answers. What is right is
told by the bytes that were delivered, read in the plainest way (`delivered.py`): a reply may be given only if they
hold a whole one, and must then be that one; a fault that leaves the reply as it is must leave it right. Else the
error must be one of those that the fault may come to. Nothing may hang or stay open, no tool may run for a reply
that is not whole, nothing is asked again once text was shown, and the conversation goes on afterwards. To repeat
one run:

    FAULT_SEED=17 python -m pytest tests/agent/test_faults.py -k of_its_own
"""

import asyncio
import base64
import gc
import importlib.util
import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from delivered import Delivered, read, split
from faults import FAULTS

from gemmagraph import Agent, errors
from gemmagraph.backends.base import ServerCall
from gemmagraph.backends.network.http import Bounds
from gemmagraph.backends.ollama.backend import OllamaBackend
from gemmagraph.events import Reasked, TextDelta
from gemmagraph.model import Gemma
from gemmagraph.prompts.messages import BadCall, Reply, Text, ToolCall, Turn, Usage
from gemmagraph.prompts.notation import notation_named
from gemmagraph.prompts.notation import read as read_text
from gemmagraph.prompts.toolset import Toolset
from gemmagraph.server_calls import checked
from gemmagraph.tools.sources import to_tools

DOWN, CUT, FAILED = errors.BackendUnavailable, errors.TruncatedReply, errors.ServerError
LATE, BUSY, EMPTY = errors.BackendTimeout, errors.RateLimited, errors.EmptyReply
TESTS = Path(__file__).parent.parent
AT_ONCE = 16
SLICE = len(FAULTS) + 16
"""How many runs there are every day."""
LIMIT = 15.0
"""Seconds until a run is said to hang: more than the limit that its fault has to run into, less than the others."""
LINE = 256 * 1024
"""The most bytes of a line that the runs accept."""


@dataclass(frozen=True)
class Row:
    """What a fault may come to, beside the right reply."""

    ends: tuple[type[errors.BackendError], ...] = ()
    """None: the reply has to come."""
    passes: bool = False
    """Whether another try mends it, so that only the third in a row is an error."""
    lasts: bool = False
    """Whether there is never a reply, however often it happens, and no other try."""
    alters: bool = False
    """Whether the reply may be another one than the server sent, and nobody can tell."""
    loses: bool = False
    """Whether what was sent may not arrive."""
    bounds: dict = field(default_factory=dict)
    for_questions: bool = False
    """Whether it is also done to answers that are no replies."""


def passing(*kinds, **more):
    return Row(kinds or (DOWN,), passes=True, for_questions=True, **more)


def lasting(*kinds, **more):
    return Row(kinds, lasts=True, for_questions=True, **more)


def midway(*kinds, **more):
    return Row(kinds, for_questions=True, **more)


STATUS = {408: {LATE}, 429: {BUSY}, 502: {DOWN, FAILED}, 503: {DOWN, FAILED, BUSY}, 504: {LATE}}
"""What a refusal comes to by its status; with a page for people it is always the wrong address."""
SOON = {"first_byte": 1.5, "question": 1.5}
ROWS = {
    "none": Row(for_questions=True),
    "slow": Row(for_questions=True),
    "early hints": Row(for_questions=True),
    "pings": Row(),
    "odd media type": Row(),
    "odd line ends": Row(),
    "stale": Row(for_questions=True),
    "silent at the end": Row(),
    "no end of chunks": Row(),
    "more behind the end": Row(),
    "passing refusal": passing(DOWN, FAILED, LATE, BUSY),
    "refusal with a long pause": lasting(DOWN, FAILED, BUSY),
    "lasting refusal": lasting(FAILED, DOWN),
    "redirect": Row((DOWN,), lasts=True),
    "page for people": lasting(DOWN),
    "endless refusal": lasting(FAILED),
    "wrong encoding": lasting(FAILED),
    "no http": passing(),
    "two status lines": passing(),
    "bad header": passing(),
    "bad length": passing(),
    "absurd length": passing(),
    "closed at once": passing(),
    "reset at once": passing(),
    "half closed at once": passing(),
    "cut in the head": passing(),
    "cut behind the head": passing(),
    "silent at once": lasting(LATE, bounds=SOON),
    "silent in the head": lasting(LATE, bounds=SOON),
    "silent behind the head": lasting(LATE, bounds=SOON),
    "dripping head": lasting(LATE, bounds=SOON),
    "endless head": passing(),
    "cut": midway(CUT, DOWN),
    "reset": midway(CUT, DOWN, loses=True),
    "ends in order too early": midway(CUT),
    "no last frame": Row((CUT,)),
    "length too short": midway(CUT),
    "bad chunk": midway(CUT, DOWN),
    "error midway": Row((FAILED,)),
    "nonsense midway": Row((FAILED,)),
    "raw control characters": Row((FAILED,)),
    "silent midway": midway(LATE, bounds={"between": 1.5, "question": 1.5}),
    "endless pings": midway(LATE, bounds={"total": 2.5, "question": 1.5}),
    "endless text": Row((LATE,), alters=True, loses=True, bounds={"total": 2.5}),
    "endless line": midway(FAILED),
    "garbled": Row((FAILED, CUT, EMPTY, errors.ContextOverflow), alters=True),
    "frame twice": Row(alters=True),
    "bytes twice": Row((FAILED, CUT, EMPTY), alters=True),
    "frame lost": Row((CUT, EMPTY), alters=True),
}
KINDS = {
    # backend and model, transport
    "ollama chat": ("ollama:gemma3:4b", "chat"),
    "ollama tools": ("ollama:gemma4:e4b", "tools"),
    "ollama raw": ("ollama:gemma3:4b", "completion"),
    "openai chat": ("openai:gemma3:4b", "chat"),
    "openai tools": ("openai:gemma3:4b", "tools"),
    "openai raw": ("openai:gemma3:4b", "completion"),
    "llama.cpp": ("openai:gemma3:4b", "completion"),
}
ODD = [*'\u0085\u2028\u2029\v\f\x1c\t\u200dé😀"\\}', "日本", "data: ", "[DONE]"]
"""Where readers of lines, of events and of bytes may go wrong."""


@dataclass(frozen=True)
class Plan:
    """A run, as its seed draws it."""

    seed: int
    kind: str
    fault: str
    with_agent: bool
    page: str
    first: int
    times: int
    replies: tuple[dict, ...]
    note: str

    @property
    def row(self) -> Row:
        return ROWS[self.fault]


def planned(seed: int, with_llama: bool) -> Plan:
    """Faults and kinds in turn, so that each is met as often; all else by chance."""
    rng = random.Random(f"plan {seed}")
    fault = list(FAULTS)[seed % len(FAULTS)]
    kinds = [*KINDS, "ollama tools", "openai tools"]
    if not with_llama:
        kinds.remove("llama.cpp")
    kind = kinds[(seed + seed // len(FAULTS)) % len(kinds)]
    with_agent = kind != "llama.cpp" and rng.random() < 0.4
    note, text = words(rng), words(rng)
    answer = {"text": text, "piece": rng.choice([1, 4, 30]), "counts": rng.randint(200, 900)}
    calls = with_agent or fault == "frame twice" or rng.random() < 0.5
    page = "question" if ROWS[fault].for_questions and rng.random() < 0.3 else "reply"
    return Plan(
        seed,
        kind,
        fault,
        with_agent,
        page,
        first=rng.choice([0, 1]) if with_agent and page == "reply" and fault != "frame twice" else 0,
        times=rng.choice([1, 1, 2, 9]),
        replies=(call_of(kind, note, answer, rng), answer) if calls else (answer,),
        note=note,
    )


def words(rng: random.Random) -> str:
    return "".join(rng.choice([*ODD, *"abc de fg. "]) for _ in range(rng.choice([3, 20, 80]))) + "end."


def call_of(kind: str, note: str, answer: dict, rng: random.Random) -> dict:
    """A reply that calls the tool, as the server of a kind sends it."""
    if kind == "ollama tools":
        thought = {"thought": "Let me keep that."} if rng.random() < 0.5 else {}
        call = {"function": {"name": "keep_note", "arguments": {"text": note}}}
        return {**answer, "text": "", **thought, "tool_calls": [call], "calls_last": rng.random() < 0.3}
    arguments = json.dumps({"text": note}, ensure_ascii=rng.random() < 0.5)
    if kind == "openai tools" and rng.random() < 0.5:
        return {**answer, "text": "", "tool_calls": [{"name": "keep_note", "arguments": arguments}]}
    if kind == "openai tools":
        size = rng.choice([3, 15])
        pieces = [arguments[at : at + size] for at in range(0, len(arguments), size)]
        head = {"index": 0, "id": "call_7", "function": {"name": "keep_note", "arguments": ""}}
        deltas = [[head], *([{"index": 0, "function": {"arguments": piece}}] for piece in pieces)]
        return {**answer, "text": "", "deltas": deltas}
    text = notation_named("function_call").write_calls([ToolCall("c", "keep_note", {"text": note})])
    return {**answer, "text": text}


class Wrong(Exception):
    """A run that did not end as it has to."""


def require(holds: object, what: str) -> None:
    if not holds:
        raise Wrong(what)


async def told(at: int, order: str, /, **asked) -> dict:
    """What the proxy says to an order."""
    reader, writer = await asyncio.open_connection("127.0.0.1", at)
    body = json.dumps(asked).encode()
    writer.write(b"POST %s HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (order.encode(), len(body)) + body)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return json.loads(answer.partition(b"\r\n\r\n")[2])


@dataclass
class Servers:
    """What the runs go to."""

    proxy: int
    ollama: str
    openai: str
    llama: dict | None = None

    def upstream(self, kind: str) -> str:
        return self.llama["url"] if kind == "llama.cpp" else self.ollama if "ollama" in kind else self.openai


class Asked:
    """One run: a conversation with a model behind the proxy."""

    def __init__(self, plan: Plan, servers: Servers, port: int) -> None:
        self.plan = plan
        self.kept: list[str] = []
        """What the tool was called with: its effect."""
        model, transport = KINDS[plan.kind]
        url = f"http://127.0.0.1:{port}" + ("" if "ollama" in plan.kind else "/v1")
        sampling = {**servers.llama["options"], "seed": plan.seed} if plan.kind == "llama.cpp" else {}
        most = 24 if plan.kind == "llama.cpp" else None
        self.most = LINE if plan.kind != "llama.cpp" else 16 * LINE  # its last event says all again
        self.gemma = Gemma(model, base_url=url, transport=transport, max_tokens=most, **sampling)
        self.bounds = Bounds(
            first_byte=10, between=10, total=20, question=10, notice=5, pause=0.01, retry_after=2, line=self.most
        )
        hurried = plan.row.bounds if plan.page == "reply" else {"question": plan.row.bounds.get("question", 10)}
        self.gemma.backend._http.bounds = replace(self.bounds, **hurried)

        def keep_note(text: str) -> str:
            """Keeps a note."""
            self.kept.append(text)
            return "kept"

        self.agent = Agent(self.gemma, [keep_note])
        self.tools = Toolset(tool.spec for tool in to_tools([keep_note]))
        self.shown: list[str] = []

    async def ask(self, said: str) -> Reply:
        """The reply of the model, or the answer of the agent in the form of one."""
        self.shown.clear()
        if self.plan.with_agent:
            result = await self.agent.arun(said, thread="t")
            require(result.stop in ("answered", "failed"), f"the run stopped: {result.stop}: {result.reason}")
            return Reply(text=result.text, usage=result.usage)
        found = None
        async with aclosing(self.gemma.stream([Turn("user", (Text(said),))], self.tools)) as events:
            async for event in events:
                if isinstance(event, TextDelta):
                    self.shown.append(event.text)
                elif isinstance(event, Reasked):
                    self.shown.clear()
                elif isinstance(event, Reply):
                    found = event
        require(found is not None, "the stream ended without a reply")
        return found

    def expected(self, entry: dict) -> tuple[Delivered, Reply]:
        """What was delivered, and what a model's reply that says so is."""
        _, _, body, in_order = split(base64.b64decode(entry["delivered"]))
        return self.meant(entry, body, in_order)

    def meant(self, entry: dict, body: bytes, in_order: bool = True) -> tuple[Delivered, Reply]:
        found = read(entry["path"], body, self.most, in_order)
        by_server = "tools" in json.loads(entry["asked"])
        is_other = self.gemma.transport == "tools" and not by_server
        notation = notation_named("function_call") if is_other else self.gemma.notation
        reply = read_text(notation, found.text, self.tools, "length" if found.reason == "length" else "stop")
        if by_server:
            is_text = "openai" in self.plan.kind
            calls = [ServerCall(name, as_given(arguments, is_text)) for name, arguments in found.calls]
            outcomes = [outcome for call in calls for outcome in checked(call, self.tools)]
            reply = replace(
                reply,
                calls=reply.calls + tuple(each for each in outcomes if isinstance(each, ToolCall)),
                bad_calls=reply.bad_calls + tuple(each for each in outcomes if isinstance(each, BadCall)),
            )
        return found, reply


def as_given(arguments, is_text: bool):
    """Arguments as a server gives them: OpenAI's protocol writes the object as text."""
    if not is_text or not isinstance(arguments, str):
        return arguments
    try:
        found = json.loads(arguments)
    except ValueError:
        return arguments
    return found if isinstance(found, dict) else arguments


def steps(log: list[dict]) -> list[list[dict]]:
    """The replies that were asked for, those of the same request together."""
    found: dict[str, list[dict]] = {}
    for entry in log:
        if entry["page"] == "reply":
            found.setdefault(entry["asked"], []).append(entry)
    return list(found.values())


def judge(asked: Asked, log: list[dict], outcome: Reply | errors.BackendError, shown: str) -> None:
    """Raises:
    Wrong: this is not how the run had to end.
    """
    plan, row = asked.plan, asked.plan.row
    groups = steps(log)
    hit = [entry for entry in log if entry["hit"]]
    failed = isinstance(outcome, errors.BackendError)
    for group in groups:
        require(len(group) <= 6, f"asked {len(group)} times for the same")
        for entry in group[:-1]:
            found, _ = asked.expected(entry)
            was_shown = "" if row.passes or row.loses else found.text + found.thoughts
            require(not was_shown, f"asked again after {was_shown!r} was there")
    for entry in log:
        require(entry["sent"] < 16 << 20, f"read {entry['sent']} bytes of nonsense")
    accepted = groups[: len(groups) - failed]
    effects = [call.arguments["text"] for group in accepted for call in asked.expected(group[-1])[1].calls]
    if plan.with_agent:
        require(asked.kept == effects, f"the tool ran with {asked.kept}, and not with {effects}")
    if failed and says_nothing(asked, log, outcome):
        return
    if failed:
        judge_error(asked, groups, hit, outcome)
        return
    require(not (hit and row.lasts and plan.page == "reply"), f"a reply in spite of it: {outcome}")
    require(groups, "a reply out of nothing")
    last = groups[-1][-1]
    found, reply = asked.expected(last)
    require(found.is_whole and not found.is_broken, f"took a broken reply for a whole one: {outcome}")
    is_bad = plan.with_agent and reply.bad_calls and not reply.calls  # asked for again twice, and given up
    text = "" if is_bad else reply.text
    require(outcome.text == text, f"says {outcome.text!r}, and not {text!r}")
    if not plan.with_agent:
        called, meant = ([(call.name, call.arguments) for call in each.calls] for each in (outcome, reply))
        require(called == meant, f"calls {called}, not {meant}")
        require(outcome.thoughts == found.thoughts + reply.thoughts, f"thinks {outcome.thoughts!r}")
        require(shown.strip() == outcome.text.strip(), f"showed {shown!r}, said {outcome.text!r}")
    heard = [entry for group in groups for entry in group if not (entry["hit"] and row.passes)]
    used = [usage for usage in (asked.expected(entry)[0].usage for entry in heard) if usage]
    sums = [Usage(*map(sum, zip(*used[at:], strict=True))) for at in range(len(used))]
    require(outcome.usage in sums or not found.usage, f"counted {outcome.usage}, not {sums}")
    if not row.alters:
        played, right = asked.meant(last, base64.b64decode(last["played"]))
        require((found.text, found.calls) == (played.text, played.calls), "the proxy itself altered the reply")
        require(reply.text == right.text, f"says {reply.text!r}, and the server {right.text!r}")


def judge_error(asked: Asked, groups: list, hit: list[dict], error: errors.BackendError) -> None:
    plan, row = asked.plan, asked.plan.row
    said = str(error)
    require("\n" not in said and len(said) < 1500, f"an error of many words: {said!r}")
    require(hit, f"failed, and nothing was done to it: {error!r}")
    allowed = set(row.ends)
    status, media, body, _ = split(base64.b64decode(hit[-1]["delivered"]))
    if "refusal" in plan.fault and (media.startswith("text/html") or body[:1] == b"<"):
        allowed = {DOWN}
    elif plan.fault == "passing refusal":
        allowed = STATUS[status]
    require(type(error) in allowed, f"an error of the wrong kind: {error!r}")
    if row.passes:
        require(len(hit) >= 3, f"gave up after {len(hit)} tries: {error!r}")
    elif row.lasts and plan.page == "reply":
        require(len(hit) == 1, f"asked again {len(hit)} times although that cannot help")
    elif plan.page == "reply" and not row.loses:
        found, reply = asked.expected(groups[-1][-1])
        is_usable = found.is_good and bool(reply.text or reply.calls) and not found.is_broken_later
        require(not is_usable or isinstance(error, errors.ContextOverflow), f"the reply was there: {error!r}")


def says_nothing(asked: Asked, log: list[dict], outcome: object) -> bool:
    """Whether it is right that the reply is empty: the tiny model of llama.cpp's server may say nothing."""
    is_empty = isinstance(outcome, EMPTY) and asked.plan.kind == "llama.cpp"
    return is_empty and not asked.expected(steps(log)[-1][-1])[0].text


async def run(plan: Plan, servers: Servers) -> str:
    """One run. Returns what it came to.

    Raises:
        Wrong: something else than it had to.
    """
    replies = None if plan.kind == "llama.cpp" else list(plan.replies)
    upstream = servers.upstream(plan.kind)
    way = {"seed": str(plan.seed), "fault": plan.fault, "page": plan.page, "first": plan.first, "times": plan.times}
    opened = await told(servers.proxy, "/_open", upstream=upstream, replies=replies, **way)
    asked = Asked(plan, servers, opened["port"])
    outcome: Reply | errors.BackendError
    try:
        outcome = await asyncio.wait_for(asked.ask("Keep a note."), LIMIT)
    except errors.BackendError as exc:
        outcome = exc
    except TimeoutError:
        raise Wrong(f"still not over after {LIMIT:g} s") from None
    shown, kept_so_far = "".join(asked.shown), list(asked.kept)
    history = len(asked.agent.history("t")) if plan.with_agent else 0
    healed = [{"text": "All is well.", "counts": 300}]
    so_far = await told(
        servers.proxy, "/_heal", port=opened["port"], replies=None if plan.kind == "llama.cpp" else healed
    )
    asked.gemma.backend._http.bounds = asked.bounds
    try:
        after = await asyncio.wait_for(asked.ask("And now?"), LIMIT)
    except (errors.BackendError, TimeoutError) as exc:
        if not (isinstance(exc, EMPTY) and plan.kind == "llama.cpp"):
            raise Wrong(f"the next request failed, too: {exc!r}, after {outcome!r}") from exc
        after = None
    await asked.agent.aclose()
    closed = await told(servers.proxy, "/_close", port=opened["port"])
    require(closed["open"] == 0, f"{closed['open']} connections left open")
    if replies is not None:
        require(after is not None and after.text == "All is well.", f"the next reply is {after}")
    if plan.with_agent:
        require(history >= 1, "what was said is forgotten")
        require(len(asked.agent.history("t")) == history + 2, "the conversation did not go on where it was")
        require(asked.kept == kept_so_far, "a tool ran later")
    log = closed["log"][: so_far["so_far"]]
    judge(asked, log, outcome, shown)
    if isinstance(outcome, errors.BackendError) and not says_nothing(asked, log, outcome):
        return type(outcome).__name__
    again = any(len(group) > 1 for group in steps(log))
    return "right, asked again" if again else "right" if any(entry["hit"] for entry in log) else "right, not met"


async def all_of(seeds: Iterable[int], servers: Servers) -> tuple[Counter, list[str]]:
    """What the runs came to by fault, and those that were wrong."""
    counts: Counter = Counter()
    wrong: list[str] = []
    places = asyncio.Semaphore(AT_ONCE)

    async def one(seed: int) -> None:
        plan = planned(seed, with_llama=seed >= SLICE and servers.llama is not None)
        async with places:
            try:
                counts[plan.fault, await run(plan, servers)] += 1
            except Exception as exc:  # noqa: BLE001 - no exception but ours may come out, and each is told
                counts[plan.fault, "WRONG"] += 1
                said = str(exc) if isinstance(exc, Wrong) else repr(exc)
                wrong.append(f"FAULT_SEED={seed} {plan.kind}, {plan.fault} on the {plan.page}: {said}")

    await asyncio.gather(*map(one, seeds))
    await asyncio.sleep(0)
    left = asyncio.all_tasks() - {asyncio.current_task()}
    if left:
        wrong.append(f"tasks left: {left}")
    return counts, wrong


def table(counts: Counter) -> str:
    outcomes = sorted({outcome for _, outcome in counts}, key=lambda name: (not name.startswith("right"), name))
    width = max(map(len, FAULTS))
    rows = [" ".join([" " * width, *(f"{outcome[:18]:>18}" for outcome in outcomes)])]
    for name in [*FAULTS, "all"]:
        row = [sum(n for (f, o), n in counts.items() if o == outcome and name in (f, "all")) for outcome in outcomes]
        rows.append(" ".join([f"{name:{width}}", *(f"{count or '.':>18}" for count in row)]))
    return "\n".join(rows)


def open_files() -> int:
    gc.collect()
    return len(os.listdir("/dev/fd"))


def started(script: Path, *arguments: str):
    """A script of ours in a process of its own, and the first line that it prints."""
    command = [sys.executable, str(script), *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process.stdout.readline()
        process.communicate(timeout=10)


@pytest.fixture(scope="module")
def proxy():
    for line in started(TESTS / "fault_proxy.py"):
        yield int(line)


@pytest.fixture(scope="module")
def llama():
    if importlib.util.find_spec("xllamacpp") is None or importlib.util.find_spec("gguf") is None:
        yield None
        return
    for line in started(TESTS / "agent" / "llama_server.py", "8192"):
        yield json.loads(line)


def runs(seeds: Iterable[int], servers: Servers) -> Counter:
    asyncio.run(all_of([0], servers))  # what is loaded on first use stays open
    before = open_files()
    counts, wrong = asyncio.run(all_of(seeds, servers))
    assert wrong == [], "\n".join(["", *wrong, table(counts)])
    assert open_files() <= before
    return counts


def test_every_fault_has_its_row():
    assert list(ROWS) == list(FAULTS)


def test_faults_end_in_the_right_reply_or_the_right_error(proxy, ollama, openai):
    counts = runs(range(SLICE), Servers(proxy, ollama.url, openai.url))
    assert {fault for fault, _ in counts} == set(FAULTS)


@pytest.mark.long
def test_a_thousand_faults_end_in_the_right_reply_or_the_right_error(proxy, ollama, openai, llama, capsys):
    begun = time.monotonic()
    counts = runs(range(SLICE, SLICE + 1000), Servers(proxy, ollama.url, openai.url, llama))
    with capsys.disabled():
        print(f"\n{sum(counts.values())} runs in {time.monotonic() - begun:.0f} s\n{table(counts)}")


@pytest.mark.skipif("FAULT_SEED" not in os.environ, reason="FAULT_SEED names no run to repeat")
def test_a_run_of_its_own(proxy, ollama, openai, llama, capsys):
    seed, servers = int(os.environ["FAULT_SEED"]), Servers(proxy, ollama.url, openai.url, llama)
    with capsys.disabled():
        print(f"\n{planned(seed, with_llama=seed >= SLICE and llama is not None)}")
    runs([seed], servers)


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        ("dripping head", LATE, "no answer came within 0.5 s"),
        ("endless refusal", FAILED, "more than 1,000,000 bytes"),
    ],
)
def test_an_answer_of_ollama_that_never_ends_is_given_up(proxy, ollama, fault, kind, words):
    async def asking():
        way = {"seed": "1", "fault": fault, "page": "question", "times": 9}
        port = (await told(proxy, "/_open", upstream=ollama.url, **way))["port"]
        backend = OllamaBackend(f"127.0.0.1:{port}", bounds=Bounds(question=0.5 if kind is LATE else 10, line=10**6))
        with pytest.raises(kind, match=words):
            await asyncio.wait_for(backend.models(), LIMIT)
        return await told(proxy, "/_close", port=port)

    closed = asyncio.run(asking())
    assert closed["open"] == 0
    assert closed["log"][0]["sent"] < 16 << 20
