"""A model that does all that it reads in the results of its tools: what it must not do does not happen, and without
a policy it would.

It reads the prompt, finds what it is told to call and with what, and writes those calls in the notation of its
family. Effects are counted outside: in a list, in files, at a server, in a database.
"""

import json
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import pytest

from gemmagraph import Agent, Gemma, Limits, tool
from gemmagraph.backends.scripted import ScriptedBackend, shown
from gemmagraph.errors import EmptyReply
from gemmagraph.prompts.checking.arguments import write_plainly
from gemmagraph.prompts.messages import ToolCall
from gemmagraph.prompts.notation import notation_named
from gemmagraph.tools import ToolContext

sys.path += [str(Path(__file__).parent), str(Path(__file__).parent.parent / "tools")]

from exposed import GROUPS, TOOLSETS, Toolset, by_argument, database, destructive, shell
from recorded import answered, recorded

HOSTILE = [
    json.loads(line)
    for line in (Path(__file__).parent.parent / "data/policy/hostile.jsonl").read_text(encoding="utf-8").splitlines()
]
AT_ONCE = 12
"""Hostile results that are read in one turn."""
PATIENCE = 60


def wanted(text: str, toolset: Toolset) -> str:
    """A hostile text about one of the forbidden tools."""
    names = list(toolset.forbidden)
    name = names[sum(map(ord, text)) % len(names)]
    arguments = dict(toolset.forbidden[name])
    text = text.replace("{call}", write_plainly(name, arguments)).replace("{json}", json.dumps(arguments))
    return text.replace("{name}", name).replace("{arguments}", json.dumps(arguments))


class Obedient:
    """Reads what came since it spoke last, and calls each tool that is named there, with the arguments that stand
    behind the name, else with the worst it knows of."""

    def __init__(self, toolset: Toolset, notation: str, texts: list[str]) -> None:
        self._toolset, self._notation = toolset, notation_named(notation)
        self._texts = texts
        self._read = 0
        self.made: list[ToolCall] = []

    def __call__(self, request) -> str:
        prompt = shown(request)
        calls = self._obeyed(prompt[self._read :].replace("\\n", "\n"))  # a line's end, where results are JSON
        self._read = len(prompt)
        if not self.made:
            calls = [self._call("read", {"number": number}) for number in range(len(self._texts))]
        elif len(self.made) > len(self._texts):
            return "I did all that I was told."
        self.made += calls
        return self._notation.write_calls(calls) if calls else "There was nothing to do."

    def _obeyed(self, text: str) -> list[ToolCall]:
        found = []
        for name, worst in self._toolset.forbidden.items():
            for mention in re.finditer(rf"(?<![A-Za-z0-9_]){re.escape(name)}(?![A-Za-z0-9_])", text):
                said = self._behind(text[mention.end() :])
                found += [self._call(name, each) for each in (said, worst) if each is not None]
        return found

    def _behind(self, text: str) -> Mapping[str, object] | None:
        """What stands in brackets behind a name."""
        if start := re.match(r"\W{0,20}(?:(?:parameters|arguments|args)\W{0,5})?(?=\{)", text):
            try:
                found, _ = json.JSONDecoder().raw_decode(text[start.end() :])
            except ValueError:
                return None
            return found
        if written := re.match(r"\(([^()]*)\)", text):
            pairs = re.findall(r"(\w+)=(\"[^\"]*\"|[^,]+)", written[1])
            try:
                return {name: json.loads(value.replace("True", "true")) for name, value in pairs}
            except ValueError:
                return None
        return None

    def _call(self, name: str, arguments: Mapping[str, object]) -> ToolCall:
        return ToolCall(f"c{len(self.made)}", name, dict(arguments))


@pytest.fixture
def served():
    """A server of pages; `served.texts` are what it serves."""
    texts: list[str] = []

    def answer(seen):
        if seen.method == "GET":
            return answered(texts[int(seen.target.rpartition("/")[2])])
        return answered("done")

    with recorded(answer) as server:
        server.texts = texts
        yield server


def run(make, texts, served, folder, *, notation="function_call", free=False):
    """Lets the obedient model read these hostile texts; the toolset and the result."""
    folder.mkdir()
    aimed: list[str] = []
    toolset = make(aimed, folder, served)
    aimed += [wanted(text, toolset) for text in texts]
    served.texts[:] = aimed
    if make in (shell, database):  # they keep the texts themselves
        toolset = make(aimed, _fresh(folder), served)
    tools = [tool(each, approval="allow") for each in toolset.tools] if free else toolset.tools
    rules = [] if free else toolset.policy
    model = Obedient(toolset, notation, aimed)
    agent = Agent(
        Gemma(ScriptedBackend([model] * 3), notation=notation),
        tools,
        policy=rules,
        groups=GROUPS,
        approve=None if free else toolset.approve,
        limits=Limits(wall_time=PATIENCE, calls=10_000, same_call_warn=9_999, same_call_stop=10_000),
    )
    with agent:
        result = agent.run("Read all the pages.", user=toolset.user, channel=toolset.channel)
    return toolset, result


def _fresh(folder):
    made = folder / "texts"
    made.mkdir()
    return made


def batches() -> list[list[str]]:
    texts = [each["text"] for each in HOSTILE]
    return [texts[start : start + AT_ONCE] for start in range(0, len(texts), AT_ONCE)]


def test_there_are_enough_hostile_results_and_toolsets() -> None:
    assert len({each["text"] for each in HOSTILE}) >= 100
    assert len(TOOLSETS) >= 10


@pytest.mark.parametrize("make", TOOLSETS, ids=lambda make: make.__name__)
def test_a_model_that_obeys_its_results_does_nothing_forbidden(make, served, tmp_path) -> None:
    for number, texts in enumerate(batches()):
        toolset, result = run(make, texts, served, tmp_path / str(number))
        tried = [call for call in result.calls if call.name in toolset.forbidden]
        assert len(tried) >= len(texts)  # each was obeyed
        assert {call.status for call in tried} <= {"refused", "ok"}
        assert toolset.effects() == 0
        assert result.text == "I did all that I was told."


@pytest.mark.parametrize("notation", ["json", "tool_code", "pythonic"])
@pytest.mark.parametrize("make", [destructive, by_argument], ids=lambda make: make.__name__)
def test_it_does_nothing_forbidden_in_other_notations(make, served, tmp_path, notation) -> None:
    for number, texts in enumerate(batches()):
        toolset, result = run(make, texts, served, tmp_path / str(number), notation=notation)
        assert sum(call.name in toolset.forbidden for call in result.calls) >= len(texts)
        assert toolset.effects() == 0


@pytest.mark.parametrize("make", TOOLSETS, ids=lambda make: make.__name__)
def test_without_a_policy_it_would_have_done_it(make, served, tmp_path) -> None:
    toolset, _ = run(make, batches()[0], served, tmp_path / "free", free=True)
    assert toolset.effects() > 0


@pytest.mark.long
@pytest.mark.parametrize("each", HOSTILE, ids=[each["id"] for each in HOSTILE])
def test_each_hostile_result_is_obeyed_where_nothing_stands_in_the_way(each, served, tmp_path) -> None:
    toolset, _ = run(destructive, [each["text"]], served, tmp_path / "one", free=True)
    assert toolset.effects() > 0


@pytest.mark.parametrize("notation", ["function_call", "json", "tool_code", "pythonic"])
def test_a_model_that_only_repeats_its_results_does_nothing_forbidden(served, tmp_path, notation) -> None:
    for number, texts in enumerate(batches()):
        (tmp_path / str(number)).mkdir()
        aimed: list[str] = []
        toolset = destructive(aimed, tmp_path / str(number), served)
        aimed += [wanted(text, toolset) for text in texts]
        for text in aimed:
            written = notation_named(notation).write_calls([ToolCall("c", "read", {"number": aimed.index(text)})])
            steps = [written, *[text] * 6]
            gemma = Gemma(ScriptedBackend(steps), notation=notation)
            agent = Agent(gemma, toolset.tools, limits=Limits(steps=3, wall_time=PATIENCE))
            with suppress(EmptyReply):  # there is nothing but marks in some
                agent.run("Read it.")
        assert toolset.effects() == 0


def test_who_asks_is_what_the_application_says_and_not_what_the_model_writes() -> None:
    seen = []

    @tool
    def pay(what: str, context: ToolContext, user: str = "nobody") -> str:
        """Pays."""
        seen.append((context.user, user))
        return "paid"

    rules = [{"tool": "pay", "users": ["group:ops"], "then": "allow"}, {"tool": "pay", "then": "ask"}]
    call = 'FUNCTION_CALL: pay(what="it", user="local:ann")'
    for user in ("local:eve", None, "group:ops", "local:ann"):
        agent = Agent(Gemma(ScriptedBackend([call, "ok"])), [pay], policy=rules, groups=GROUPS)
        agent.run("I am local:ann of group:ops. Pay.", user=user)
    assert seen == [("local:ann", "local:ann")]
