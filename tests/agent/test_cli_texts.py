"""`gemmagraph parse` and `gemmagraph render`, through the command line."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gemmagraph.cli import main
from gemmagraph.prompts import notation_names

WEATHER = {
    "name": "get_weather",
    "description": "The weather in a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
        "required": ["city"],
    },
}
WRAPPED = {"type": "function", "function": WEATHER}


def cli(*args: str, stdin: str | bytes = "") -> Result:
    return CliRunner().invoke(main, args, input=stdin)


def line(output: object, tools: object = (WEATHER,), **more: object) -> str:
    return json.dumps({"output": output, "tools": tools} | more) + "\n"


def answers(*lines: str, notation: str = "function_call", chunk: int | None = None) -> list[dict[str, object]]:
    more = ["--chunk", str(chunk)] if chunk else []
    done = cli("parse", "--notation", notation, *more, stdin="".join(lines))
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.isascii()
    return [json.loads(answer) for answer in done.stdout.splitlines()]


@pytest.mark.parametrize("tool", [WEATHER, WRAPPED], ids=["bare", "wrapped"])
def test_calls_text_and_errors_are_printed(tool: dict[str, object]) -> None:
    good, bad, text = answers(
        line('Let me see.\nFUNCTION_CALL: get_weather(city="Oslo", days="3")', [tool]),
        line("FUNCTION_CALL: get_weather(days=3)", [tool]),
        line("It is sunny.", [tool]),
    )
    assert good == {
        "calls": [{"name": "get_weather", "arguments": {"city": "Oslo", "days": 3}}],
        "text": "Let me see.",
        "errors": [],
    }
    assert bad["calls"] == []
    assert bad["text"] is None
    [error] = bad["errors"]
    assert (error["kind"], error["tool"]) == ("invalid_arguments", "get_weather")
    assert '"city" is missing' in error["message"]
    assert error["raw"] in "FUNCTION_CALL: get_weather(days=3)"
    assert text == {"calls": [], "text": "It is sunny.", "errors": []}


def test_a_cut_output_is_read_as_one() -> None:
    [cut] = answers(line('FUNCTION_CALL: get_weather(city="Os', stop="length"))
    assert [error["kind"] for error in cut["errors"]] == ["unterminated"]


def test_tools_are_those_of_the_line() -> None:
    one, none, other = answers(
        line('FUNCTION_CALL: get_weather(city="Oslo")'),
        line('FUNCTION_CALL: get_weather(city="Oslo")', None),
        line("FUNCTION_CALL: now()", [{"name": "now"}]),
    )
    assert one["calls"]
    assert [error["kind"] for error in none["errors"]] == ["unknown_tool"]
    assert other["calls"] == [{"name": "now", "arguments": {}}]


HARD = [
    "",
    "half a character: \ud800 and a nul: \0",
    'FUNCTION_CALL: get_weather(city="\0\u202e", days=' + "9" * 5_000 + ")",
    "FUNCTION_CALL: get_weather(city=" + "[" * 5_000,
    'a `FUNCTION_CALL: x` b ```json\n{"name": "get_weather", "arguments": {"city": "Ulm"}}\n``` c',
]


@pytest.mark.parametrize("notation", ["function_call", "json"])
@pytest.mark.parametrize("chunk", [1, 3, 1000])
def test_pieces_of_any_size_give_the_same(notation: str, chunk: int) -> None:
    lines = [line(output) for output in HARD]
    assert answers(*lines, notation=notation, chunk=chunk) == answers(*lines, notation=notation)


def test_ten_megabytes_are_read() -> None:
    big = "x" * 10_000_000
    text, call = answers(line(big), line(f'FUNCTION_CALL: get_weather(city="{big}")'))
    assert text["text"] == big
    assert call["calls"][0]["arguments"] == {"city": big}


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ("{", "Expecting"),
        ("[1]", "it is no object"),
        ('{"tools": []}', 'it has no text as "output"'),
        ('{"output": 3}', 'it has no text as "output"'),
        ('{"output": "", "stop": "tired"}', "\"stop\" is 'tired'"),
        ('{"output": "", "tools": 3}', '"tools" is 3'),
        ('{"output": "", "tools": [{"type": "function"}]}', 'A tool needs a "name"'),
        ('{"output": "", "tools": [{"name": "a"}, {"name": "a"}]}', "Two tools are named 'a'"),
        ("[" * 100_000, "it is nested too deep"),
        ("\xff\xfe", "Expecting"),
    ],
)
def test_a_broken_line_is_named_and_those_before_it_are_answered(broken: str, reason: str) -> None:
    done = cli("parse", "--notation", "json", stdin=f"{line('hello')}\n{broken}\n{line('never')}")
    assert done.exit_code == 1
    assert [json.loads(answer)["text"] for answer in done.stdout.splitlines()] == ["hello"]
    assert done.stderr.startswith(f"Error: Line 3 cannot be read: {reason}")
    assert done.stderr.count("\n") == 1


def test_bytes_that_are_no_text_are_a_broken_line() -> None:
    done = cli("parse", "--notation", "json", stdin=b'{"output": "\xff"}\n')
    assert done.exit_code == 1
    assert "Line 1 cannot be read: 'utf-8' codec" in done.stderr


def test_an_answer_does_not_wait_for_the_next_line() -> None:
    command = [sys.executable, "-m", "gemmagraph", "parse", "--notation", "json"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for word in ("one", "two"):
            process.stdin.write(line(word))
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["text"] == word
        process.stdin.close()
        assert process.wait(timeout=20) == 0


@pytest.mark.parametrize(
    "args",
    [["parse"], ["parse", "--notation", "json", "--chunk", "0"], ["render"], ["render", "a", "--conversation", "b"]],
)
def test_wrong_use_is_told_with_code_2(args: list[str]) -> None:
    done = cli(*args)
    assert done.exit_code == 2
    assert "Usage: " in done.stderr


def test_an_unknown_notation_is_told_with_those_there_are() -> None:
    done = cli("parse", "--notation", "morse")
    assert done.exit_code == 1
    assert done.stderr == f"Error: There is no notation 'morse'. Known are: {', '.join(notation_names())}.\n"


TOOLS = 'def get_weather(city: str) -> str:\n    "The weather in a city."\n    return ""\nprint("loading")\n'


@pytest.fixture
def tools(tmp_path: Path) -> str:
    path = tmp_path / "tools.py"
    path.write_text(TOOLS)
    return str(path)


def test_render_prints_the_messages_as_json(tools: str) -> None:
    done = cli("render", "--tools", tools, "--system", "Be brief.", "How is the weather in Oslo?")
    assert done.exit_code == 0
    [message] = json.loads(done.stdout)
    assert message["role"] == "user"
    assert message["content"].startswith("Be brief.\n\nYou can use tools.")
    assert "- get_weather(city: string)" in message["content"]
    assert message["content"].endswith("\n\nHow is the weather in Oslo?")


def test_render_leaves_out_what_the_matcher_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / "tools.py").write_text(
        "from gemmagraph import tool\n\n"
        'def wipe(disk: str) -> str:\n    """Wipe a disk."""\n\n'
        '@tool(read_only=True)\ndef look(at: str) -> str:\n    """Look at something."""\n'
    )
    done = cli("render", "-m", "builtin", "--tools", str(tmp_path / "tools.py"), "hi")
    assert done.exit_code == 0
    assert "look(" in done.stdout
    assert "wipe" not in done.stdout
    assert done.stderr == "Left out, as they are not marked read-only: wipe.\n"


def test_render_prints_the_prompt_byte_for_byte() -> None:
    done = cli("render", "--transport", "completion", "Grüße <end_of_turn>\x1b[0m")
    prompt = "<bos><start_of_turn>user\nGrüße ‹end_of_turn>\x1b[0m<end_of_turn>\n<start_of_turn>model\n"
    assert done.stdout_bytes.decode() == prompt


CONVERSATION = [
    {"role": "system", "content": "Be nice."},
    {"role": "user", "content": [{"type": "text", "text": "Weather?"}]},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "a", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Oslo"}'}}
        ],
    },
    {"role": "tool", "tool_call_id": "a", "content": "sunny"},
]


@pytest.mark.parametrize(
    ("notation", "call", "result"),
    [
        ("function_call", 'FUNCTION_CALL: get_weather(city="Oslo")', "FUNCTION_RESULT: get_weather\nsunny"),
        (
            "json",
            '{"name": "get_weather", "arguments": {"city": "Oslo"}}',
            '{"name": "get_weather", "result": "sunny"}',
        ),
    ],
)
def test_render_takes_a_conversation_with_calls_and_results(
    tmp_path: Path, notation: str, call: str, result: str
) -> None:
    file = tmp_path / "talk.json"
    file.write_text(json.dumps({"messages": CONVERSATION, "tools": [WRAPPED]}))
    done = cli("render", "--conversation", str(file), "--notation", notation)
    first, second, third = json.loads(done.stdout)
    assert first["content"].startswith("Be nice.\n\n")
    assert "get_weather" in first["content"]
    assert first["content"].endswith("\n\nWeather?")
    assert second == {"role": "assistant", "content": call}
    assert third == {"role": "user", "content": result}


def test_render_reads_a_conversation_from_standard_input() -> None:
    done = cli("render", "--conversation", "-", stdin=json.dumps([{"role": "user", "content": "hi"}]))
    assert json.loads(done.stdout) == [{"role": "user", "content": "hi"}]


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("no json", "is no JSON"),
        ("[]", "A conversation is a list of messages, not []"),
        ('{"messages": 3}', "A conversation is a list of messages, not 3"),
        ("[3]", "Message 1 cannot be read: 3"),
        ('[{"role": "user", "content": "a"}, {"role": "robot"}]', "Message 2 cannot be read"),
        ('[{"role": "tool", "content": "of no call"}]', "Message 1 cannot be read"),
        ('[{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{"}}]}]', "Message 1"),
        ('[{"role": "user", "content": [{"type": "image_url"}]}]', "Message 1 cannot be read"),
    ],
)
def test_a_conversation_that_is_none_is_told(written: str, message: str) -> None:
    done = cli("render", "--conversation", "-", stdin=written)
    assert done.exit_code == 1
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_render_takes_the_model_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEMMAGRAPH_MODEL", "ollama:llama3")
    done = cli("render", "hi")
    assert done.exit_code == 1
    assert "'llama3' is not the name of a Gemma model" in done.stderr
    assert cli("render", "hi", "-m", "ollama:gemma2:9b").exit_code == 0


LOADED = """
import sys
from gemmagraph.cli import main
try:
    main(sys.argv[1:])
except SystemExit as exit:
    assert not exit.code, exit.code
print(*sorted({name.partition(".")[0] for name in sys.modules} - set(sys.stdlib_module_names)), file=sys.stderr)
"""


def loaded(*args: str, stdin: str = "") -> set[str]:
    """Packages outside the standard library that a command loads."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *args], input=stdin, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return {name for name in done.stderr.split() if not name.startswith("_")}


def test_help_loads_nothing_but_click() -> None:
    assert loaded("--help") == {"click", "gemmagraph"}


def test_parse_and_render_need_neither_langchain_nor_langgraph(tools: str) -> None:
    parsed = loaded("parse", "--notation", "json", stdin=line('{"name": "get_weather", "arguments": {"city": "x"}}'))
    rendered = loaded("render", "--tools", tools, "hi")
    assert not {name for name in parsed | rendered if name.startswith("lang")} - {"loading"}
