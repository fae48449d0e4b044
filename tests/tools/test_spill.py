"""Results too long for the model: kept, read on page by page, by nobody else."""

import asyncio
import re
from typing import Any

import pytest

from gemmagraph.tools import ToolContext, ToolError, tool_from_schema
from gemmagraph.tools.secrets import remember
from gemmagraph.tools.shaping.shape import Shape
from gemmagraph.tools.shaping.spill import Owner, Spill
from gemmagraph.tools.shaping.spill_reader import reader

ANN = Owner("ann", "t1")
MOST = 1_000
LINES = "\n".join(f"line {number} of the report" for number in range(300))


def put(store: Spill, text: str = LINES, owner: Owner = ANN, **more: Any) -> tuple[str, str]:
    """What the model is shown, and the handle in it."""
    shown = store.put(text, owner, MOST, **more)
    found = re.search(r'read_more\(handle="([0-9a-f]{16})", page=\d+\)', shown)
    assert found, shown
    return shown, found[1]


def body(page: str) -> str:
    return page.rpartition("\n[")[0]


def all_pages(store: Spill, handle: str, owner: Owner = ANN) -> list[str]:
    found = [store.page(handle, 1, owner)]
    while not found[-1].endswith("; the end.]"):
        following = re.search(r"page=(\d+)\)\.\]$", found[-1])
        assert following
        found.append(store.page(handle, int(following[1]), owner))
    return found


@pytest.mark.parametrize(
    "text",
    [LINES, "x" * 5_000, "\n" * 3_000 + "end", "ß€😀" * 900, "short\n" + "y" * 4_000 + "\nlast"],
    ids=["lines", "no-line-break", "only-line-breaks", "unicode", "mixed"],
)
def test_pages_hold_the_whole_text_and_stay_within_the_ceiling(text: str) -> None:
    store = Spill()
    shown, handle = put(store, text)
    pages = all_pages(store, handle)

    assert len(shown) <= MOST
    assert all(len(page) <= MOST for page in pages)
    assert body(shown) == body(pages[0])
    assert "".join(map(body, pages)).replace("\n", "") == text.replace("\n", "")


def test_pages_end_where_lines_do() -> None:
    store = Spill()
    _, handle = put(store)
    pages = [body(page).splitlines() for page in all_pages(store, handle)]

    assert [line for page in pages for line in page] == LINES.splitlines()


def test_note_says_how_much_there_is() -> None:
    shown, _ = put(Spill())
    assert f"The whole has {len(LINES):,} characters; 9 pages." in shown


def test_tail_shows_the_end_and_names_the_page_before_it() -> None:
    store = Spill()
    shown, handle = put(store, keep="tail")

    assert shown.startswith("[Cut.")
    assert shown.endswith("line 299 of the report")
    assert len(shown) <= MOST
    assert f'Before it: read_more(handle="{handle}", page=8).]' in shown


@pytest.mark.parametrize(
    "other",
    [Owner("bob", "t1"), Owner("ann", "t2"), Owner(None, "t1"), Owner("ann", None), Owner()],
    ids=["user", "thread", "no-user", "no-thread", "nobody"],
)
def test_handle_of_another_user_or_thread_is_refused_like_an_unknown_one(other: Owner) -> None:
    store = Spill()
    _, handle = put(store)
    unknown = "0" * 16

    with pytest.raises(ToolError) as foreign:
        store.page(handle, 1, other)
    with pytest.raises(ToolError) as never:
        store.page(unknown, 1, other)
    assert str(foreign.value).replace(handle, unknown) == str(never.value)
    with pytest.raises(ToolError) as too_far:
        store.page(handle, 99, other)
    assert str(too_far.value) == str(foreign.value)


@pytest.mark.parametrize("page", [0, -1, 10, 10**9])
def test_page_beyond_the_end_is_told_with_what_there_is(page: int) -> None:
    store = Spill()
    _, handle = put(store)

    with pytest.raises(ToolError, match=r"There is no page -?\d+\. The pages are 1 to 9\."):
        store.page(handle, page, ANN)


def test_handles_differ_by_text_and_owner_and_are_the_same_for_the_same_result() -> None:
    store = Spill()
    texts = [f"{number} {LINES}" for number in range(100)]
    owners = [ANN, Owner("bob", "t1")]
    first = [put(store, text, owner=owner)[1] for text in texts for owner in owners]
    assert len(set(first)) == 200
    assert [put(store, text, owner=owner)[1] for text in texts for owner in owners] == first


def test_what_is_kept_twice_counts_once() -> None:
    store = Spill(per_thread=2 * len(LINES) + 100)
    handles = [put(store, text)[1] for text in (LINES, f"1 {LINES}", LINES)]
    assert all(store.page(handle, 1, ANN) for handle in handles)


def test_oldest_text_of_a_thread_makes_room() -> None:
    store = Spill(per_thread=2 * len(LINES))
    handles = [put(store, LINES.replace("report", name))[1] for name in ("annual", "weekly", "yearly")]
    _, other = put(store, owner=Owner("bob", "t2"))

    with pytest.raises(ToolError, match="any more"):
        store.page(handles[0], 1, ANN)
    assert all(store.page(handle, 1, ANN) for handle in handles[1:])
    assert store.page(other, 1, Owner("bob", "t2"))


def test_oldest_text_of_all_makes_room() -> None:
    store = Spill(total=2 * len(LINES))
    owners = [Owner("ann", str(number)) for number in range(4)]
    handles = [put(store, owner=owner)[1] for owner in owners]

    for handle, owner in zip(handles[:2], owners[:2], strict=True):
        with pytest.raises(ToolError, match="any more"):
            store.page(handle, 1, owner)
    assert all(store.page(handle, 1, owner) for handle, owner in zip(handles[2:], owners[2:], strict=True))


def test_text_larger_than_a_thread_may_have_is_kept_from_its_beginning() -> None:
    store = Spill(per_thread=4_000)
    shown, handle = put(store)
    pages = all_pages(store, handle)

    assert f"The whole has {len(LINES):,} characters; the first 5 pages are kept." in shown
    assert LINES.startswith("\n".join(map(body, pages)))


def test_secret_is_masked_before_pages_are_cut() -> None:
    remember("spilled", "correct-horse-battery")
    store = Spill()
    text = "x" * (MOST - 160 - 10) + "correct-horse-battery" + "y" * 3_000
    shown, handle = put(store, text)
    everything = "".join(map(body, [shown, *all_pages(store, handle)]))

    assert "correct" not in everything
    assert "battery" not in everything


# --- the tool ---------------------------------------------------------------------------------------------


def read(store: Spill, arguments: dict[str, Any], user: str = "ann", thread: str = "t1") -> tuple[str, Any]:
    made = reader(store)
    outcome = asyncio.run(made.run(made.check(arguments), ToolContext(user=user, thread=thread)))
    return outcome.status, outcome.content


def test_model_reads_on_with_read_more() -> None:
    store = Spill()
    _, handle = put(store)

    status, content = read(store, {"handle": handle, "page": "2"})
    assert status == "ok"
    assert content == store.page(handle, 2, ANN)
    assert read(store, {"handle": handle}) == (status, content)


@pytest.mark.parametrize(("user", "thread"), [("bob", "t1"), ("ann", "t2")])
def test_read_more_tells_others_that_there_is_nothing(user: str, thread: str) -> None:
    store = Spill()
    _, handle = put(store)

    status, content = read(store, {"handle": handle}, user, thread)
    assert status == "error"
    assert "Nothing is kept" in content


def test_read_more_is_declared_as_reading_only() -> None:
    made = reader(Spill())
    assert (made.name, made.read_only, made.idempotent) == ("read_more", True, True)
    assert made.spec.parameters["required"] == ["handle"]


def test_what_a_tool_returned_is_read_to_its_end() -> None:
    store = Spill()
    rows = [{"id": number, "text": "z" * 30} for number in range(100)]
    made = tool_from_schema("rows", "Rows.", {"type": "object", "properties": {}}, lambda: rows)
    shape = Shape.of({"on_overflow": "spill", "max_chars": MOST})

    shown = shape.apply(made(), owner=ANN, store=store)
    handle = shown.rpartition('handle="')[2][:16]
    pages = all_pages(store, handle)
    assert "".join(map(body, pages)).count('"id"') == 100
    assert body(pages[-1]).endswith("}\n]")
