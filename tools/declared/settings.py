"""`settings:` of a file: values that differ from place to place and are no secrets.

Each is put where `{{ settings.NAME }}` stands when the file is read, as if it had been written there. It is a text
and nothing else: one that holds a placeholder itself is refused.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from gemmagraph.prompts.messages import JSON
from gemmagraph.tools.declared.nodes import KeyPath

_NAMED: Final = re.compile(r"\{\{\s*settings\.([A-Za-z_][\w-]*)\s*\}\}", re.ASCII)
_ALL: Final = ("model", "store", "connections", "bots")
_SOME: Final[Mapping[str, tuple[str, ...]]] = {
    "tools": ("http", "shell", "bind"),
    "imports": ("openapi", "auth", "base_url", "mcp"),
}
"""Sections, and the keys of their items, in which settings can stand."""


@dataclass(frozen=True, slots=True)
class Setting:
    name: str
    env: str | None = None
    default: str | None = None

    @property
    def value(self) -> str | None:
        """What stands in the environment, else the default."""
        return (os.environ.get(self.env) if self.env else None) or self.default

    @property
    def missing(self) -> str | None:
        """Why it has no value that can be used; None if it has one."""
        if (value := self.value) is None:
            return f"the variable {self.env} is not set"
        return f"the setting {self.name} has {{{{ in it" if "{{" in value else None


class Settings:
    """The settings of a file and those it includes.

    Args:
        said: the table; what did not fit its form may stand in it.
    """

    def __init__(self, said: Mapping[str, Any]) -> None:
        self.declared = {
            name: _setting(name, keys if isinstance(keys, Mapping) else {}) for name, keys in said.items()
        }
        self.unknown: dict[KeyPath, str] = {}
        """Texts that name a setting that there is not."""
        self._missing: dict[KeyPath, str] = {}

    def missing(self, path: KeyPath) -> str | None:
        """Why what stands at `path` cannot be had here; None if it can."""
        return next((why for at, why in self._missing.items() if at[: len(path)] == path), None)

    def fill(self, path: KeyPath, value: JSON) -> JSON:
        """What stands at `path`, with the values of settings in their places. The text for one that has none is
        empty, and means nothing."""
        if not path:
            return {key: self.fill((key,), child) for key, child in value.items()}
        if path[0] in _ALL:
            return self._filled(path, value)
        if path[0] in _SOME and isinstance(value, list) and len(path) == 1:
            return [self.fill((*path, index), item) for index, item in enumerate(value)]
        if path[0] in _SOME and isinstance(value, dict):
            keys = _SOME[str(path[0])]
            return {key: self._filled((*path, key), child) if key in keys else child for key, child in value.items()}
        return value

    def _filled(self, path: KeyPath, value: JSON) -> JSON:
        if isinstance(value, str):
            return self._text(path, value) if "settings" in value else value
        if isinstance(value, dict):
            return {key: self._filled((*path, key), child) for key, child in value.items()}
        if isinstance(value, list):
            return [self._filled((*path, index), child) for index, child in enumerate(value)]
        return value

    def _text(self, path: KeyPath, text: str) -> str:
        for name in _NAMED.findall(text):
            setting = self.declared.get(name)
            if setting is None:
                self.unknown[path] = name
            if (why := setting.missing if setting else f"there is no setting {name}") is not None:
                self._missing[path] = why
        if path in self._missing:
            return ""
        return _NAMED.sub(lambda found: self.declared[found[1]].value or "", text)


def _setting(name: str, keys: Mapping[str, Any]) -> Setting:
    env, default = (keys[key] if isinstance(keys.get(key), str) else None for key in ("env", "default"))
    return Setting(name, env, default)
