"""Who may do what, and how much of it: groups, toolsets, policy, limits."""

from __future__ import annotations

from typing import Final

from gemmagraph.tools.declared.forms import DURATION, RATE, SIZE, whole
from gemmagraph.tools.declared.structures import Key, Keys, Listing, MapOf
from gemmagraph.tools.declared.tools import ASKING
from gemmagraph.tools.declared.vocabulary import CHANNEL, NAME, NAMED, NAMES, PEOPLE, SOME_TEXT, USER, VALUE, VERDICT

GROUPS: Final = MapOf(Listing(USER), names=NAMES, named=NAMED)

TOOLSETS: Final = MapOf(
    Keys(
        "toolset",
        {
            "tools": Key(Listing(SOME_TEXT), "Its tools, by name or glob."),
            "extends": Key(NAME, "The toolset whose tools it has too."),
            "instructions": Key(SOME_TEXT, "Instructions beside those of the file."),
        },
        says="Some of the tools under a name.",
        least=1,
    ),
    names=NAMES,
    named=NAMED,
)

RULE: Final = Keys(
    "rule",
    {
        "tool": Key(SOME_TEXT, "The tools it is about, by name or glob.", required=True),
        "args": Key(MapOf(VALUE), "Arguments that a call must have: globs for texts, else equal values."),
        "users": Key(PEOPLE, "Whose calls."),
        "channels": Key(Listing(CHANNEL, least=1), "In which channels."),
        "then": Key(VERDICT, "What happens to the call.", required=True),
        **ASKING,
    },
    says="What happens to calls that fit all that is said.",
)

LIMITS: Final = Keys(
    "limits",
    {
        "steps": Key(whole(1), "How often the model is asked in one run."),
        "calls": Key(whole(1), "Tool calls in one run."),
        "wall_time": Key(DURATION, "How long one run may take."),
        "tokens": Key(SIZE, "Tokens read and written in one run."),
        "same_call": Key(
            Keys(
                "same_call",
                {
                    "warn_at": Key(whole(1), "The model is warned when a call was made this often."),
                    "stop_at": Key(whole(1), "The run ends when it was made this often."),
                },
            ),
            "Calls with the same name, arguments and result.",
        ),
        "tools": Key(whole(1), "Tools that the model is shown at once; of more, those that fit what was said."),
        "parallel": Key(whole(1), "Calls of one turn that run at once."),
        "per_user": Key(
            Keys(
                "per_user",
                {
                    "runs": Key(RATE, "Runs of one user."),
                    "calls": Key(RATE, "Tool calls of one user."),
                    "tokens": Key(RATE, "Tokens of one user."),
                },
            ),
            "What one user may use.",
        ),
    },
    says="How much one run, and one user, may use.",
)
