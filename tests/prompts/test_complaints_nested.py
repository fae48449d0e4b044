"""What a small model is told about wrong lists, objects and choices, word by word."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from gemmagraph.prompts.checking.arguments import ArgumentChecker, Number
from gemmagraph.prompts.errors import InvalidArguments
from gemmagraph.prompts.messages import ToolSpec

N = Number
ORDER = ToolSpec(
    "order",
    parameters={
        "$defs": {
            "Item": {
                "type": "object",
                "properties": {
                    "sku": {"type": "string", "pattern": "^[A-Z]{2}-[0-9]{3}$"},
                    "qty": {"type": "integer", "minimum": 1},
                },
                "required": ["sku", "qty"],
                "additionalProperties": False,
            }
        },
        "properties": {
            "items": {"type": "array", "items": {"$ref": "#/$defs/Item"}, "minItems": 1, "maxItems": 3},
            "express": {"type": "boolean"},
            "deliver_on": {"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}]},
            "weight": {"type": "number", "exclusiveMinimum": 0, "maximum": 31.5},
            "labels": {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
            "discount": {"type": ["integer", "null"], "multipleOf": 5},
            "note": {"type": "string", "maxLength": 10},
            "contact": {"anyOf": [{"type": "string", "format": "email"}, {"type": "integer"}]},
        },
        "required": ["items"],
    },
    examples=({"user": "two of AB-123", "args": {"items": [{"sku": "AB-123", "qty": 2}]}},),
)
MOVE = ToolSpec(
    "move",
    parameters={
        "properties": {
            "shape": {
                "oneOf": [
                    {
                        "properties": {"kind": {"const": "circle"}, "r": {"type": "number"}},
                        "required": ["kind", "r"],
                        "type": "object",
                    },
                    {
                        "properties": {"kind": {"const": "box"}, "w": {"type": "number"}},
                        "required": ["kind", "w"],
                        "type": "object",
                    },
                ]
            },
            "to": {"type": "array", "prefixItems": [{"type": "number"}, {"type": "number"}], "items": False},
            "id": {"oneOf": [{"type": "integer"}, {"type": "number", "minimum": 5}]},
            "tag": {"not": {"enum": ["none"]}},
            "extra": {"type": "object", "minProperties": 1, "propertyNames": {"maxLength": 3}},
        },
        "anyOf": [{"required": ["shape"]}, {"required": ["id", "to"]}],
        "dependentRequired": {"tag": ["extra"]},
    },
)
ITEM = {"sku": "AB-123", "qty": 1}
BOX = {"kind": "box", "w": 1}
DEEP: object = functools.reduce(lambda inner, _: [inner], range(150), 1)

MESSAGES: dict[str, tuple[ToolSpec, dict[str, Any], str, str]] = {
    "text that is no JSON": (
        ORDER,
        {"items": "AB-123, AB-124"},
        'order: "items" was "AB-123, AB-124", expected an array of 1 to 3 items.',
        'order(items=[{"sku": "AB-123", "qty": 2}])',
    ),
    "JSON text with a fault inside": (
        ORDER,
        {"items": '[{"sku": "AB-123", "qty": "many"}]'},
        'order: "items[0].qty" was "many", expected an integer of at least 1.',
        'order(items=[{"sku": "AB-123", "qty": 2}])',
    ),
    "a fault inside an item": (
        ORDER,
        {"items": [{"sku": "AB-123", "qty": 1}, {"sku": "AB-124", "qty": 1}, {"sku": "AB-125", "qty": N("0")}]},
        'order: "items[2].qty" was 0, expected an integer of at least 1.',
        'order(items=[{"sku": "AB-123", "qty": 2}])',
    ),
    "missing inside an item": (
        ORDER,
        {"items": [{"sku": "AB-123"}]},
        'order: "items[0].qty" is missing, expected an integer of at least 1.',
        'order(items=[{"sku": "AB-123", "qty": 2}])',
    ),
    "undeclared inside an item": (
        ORDER,
        {"items": [{"sku": "AB-123", "qty": 1, "colour": "red"}]},
        'order: in "items[0]" there is no key "colour", only "sku", "qty".',
        'order(items=[{"sku": "AB-123", "qty": 2}])',
    ),
    "misspelt inside an item": (
        ORDER,
        {"items": [{"SKU": "AB-123", "qty": 1}]},
        'order: in "items[0]" there is no key "SKU", did you mean "sku"?',
        'order(items=[{"sku": "AB-123", "qty": 2}])',
    ),
    "pattern": (
        ORDER,
        {"items": [{"sku": "ab123", "qty": 1}]},
        'order: "items[0].sku" was "ab123", expected a string matching ^[A-Z]{2}-[0-9]{3}$.',
        'order(items=[{"sku": "AB-123", "qty": 2}])',
    ),
    "too few items": (
        ORDER,
        {"items": []},
        'order: "items" had 0 items, expected 1 to 3 items.',
        'order(items=[{"sku": "AB-123", "qty": 2}])',
    ),
    "too many items": (
        ORDER,
        {"items": [ITEM] * 4},
        'order: "items" had 4 items, expected 1 to 3 items.',
        'order(items=[{"sku": "AB-123", "qty": 2}])',
    ),
    "no boolean": (
        ORDER,
        {"items": [ITEM], "express": "yes"},
        'order: "express" was "yes", expected true or false.',
        'order(items=[{"sku": "AB-123", "qty": 2}], express=true)',
    ),
    "format of a nullable": (
        ORDER,
        {"items": [ITEM], "deliver_on": "tomorrow"},
        'order: "deliver_on" was "tomorrow", expected a date like "2026-05-04".',
        'order(items=[{"sku": "AB-123", "qty": 2}], deliver_on="2026-05-04")',
    ),
    "another type for a nullable": (
        ORDER,
        {"items": [ITEM], "deliver_on": N("5")},
        'order: "deliver_on" was 5, expected a date like "2026-05-04" or null.',
        'order(items=[{"sku": "AB-123", "qty": 2}], deliver_on="2026-05-04")',
    ),
    "exclusive minimum": (
        ORDER,
        {"items": [ITEM], "weight": N("0")},
        'order: "weight" was 0, expected a number above 0 and of at most 31.5.',
        'order(items=[{"sku": "AB-123", "qty": 2}], weight=5)',
    ),
    "NaN": (
        ORDER,
        {"items": [ITEM], "weight": float("nan")},
        'order: "weight" was NaN, expected a finite number.',
        'order(items=[{"sku": "AB-123", "qty": 2}], weight=5)',
    ),
    "twice in a set": (
        ORDER,
        {"items": [ITEM], "labels": ["a", "b", "a"]},
        'order: "labels" was ["a", "b", "a"], expected each item only once.',
        'order(items=[{"sku": "AB-123", "qty": 2}], labels=["abc"])',
    ),
    "no string in a list": (
        ORDER,
        {"items": [ITEM], "labels": ["a", None]},
        'order: "labels[1]" was null, expected a string.',
        'order(items=[{"sku": "AB-123", "qty": 2}], labels=["abc"])',
    ),
    "no multiple": (
        ORDER,
        {"items": [ITEM], "discount": N("12")},
        'order: "discount" was 12, expected an integer that is a multiple of 5 or null.',
        'order(items=[{"sku": "AB-123", "qty": 2}], discount=5)',
    ),
    "too long": (
        ORDER,
        {"items": [ITEM], "note": "please be quick"},
        'order: "note" was "please be quick" (15 characters), expected at most 10 characters.',
        'order(items=[{"sku": "AB-123", "qty": 2}], note="abc")',
    ),
    "neither of two": (
        ORDER,
        {"items": [ITEM], "contact": True},
        ('order: "contact" was true, expected an e-mail address like "ann@example.org" or an integer.'),
        'order(items=[{"sku": "AB-123", "qty": 2}], contact="ann@example.org")',
    ),
    "one of two, but wrong": (
        ORDER,
        {"items": [ITEM], "contact": "ann"},
        'order: "contact" was "ann", expected an e-mail address like "ann@example.org".',
        'order(items=[{"sku": "AB-123", "qty": 2}], contact="ann@example.org")',
    ),
    "the branch that was meant": (
        MOVE,
        {"shape": {"kind": "box", "w": "wide"}},
        'move: "shape.w" was "wide", expected a number.',
        'move(shape={"kind": "circle", "r": 5})',
    ),
    "no branch that can be meant": (
        MOVE,
        {"shape": {"kind": "star"}},
        'move: "shape.kind" was "star", expected one of "circle", "box".',
        'move(shape={"kind": "circle", "r": 5})',
    ),
    "two branches at once": (
        MOVE,
        {"id": N("7"), "to": [1, 2]},
        'move: "id" was 7, which fits more than one of the allowed forms.',
        'move(shape={"kind": "circle", "r": 5})',
    ),
    "none of the required pairs": (
        MOVE,
        {"tag": "x", "extra": {"a": 1}},
        'move: the call needs "shape" or "id" with "to".',
        'move(shape={"kind": "circle", "r": 5})',
    ),
    "required by another": (
        MOVE,
        {"shape": BOX, "tag": "x"},
        'move: "extra" is missing, expected an object.',
        'move(shape={"kind": "circle", "r": 5})',
    ),
    "not allowed": (
        MOVE,
        {"shape": BOX, "tag": "none", "extra": {"a": 1}},
        'move: "tag" was "none", which is not allowed.',
        'move(shape={"kind": "circle", "r": 5})',
    ),
    "nothing may stand there": (
        MOVE,
        {"id": 1, "to": [1, 2, 3]},
        'move: "to" had 3 items, expected at most 2 items.',
        'move(shape={"kind": "circle", "r": 5}, to=[5, 5])',
    ),
    "too few keys": (
        MOVE,
        {"shape": BOX, "extra": {}},
        'move: "extra" had 0 keys, expected at least 1 key.',
        'move(shape={"kind": "circle", "r": 5})',
    ),
    "a key that is too long": (
        MOVE,
        {"shape": BOX, "extra": {"abcd": 1}},
        'move: a key of "extra" was "abcd" (4 characters), expected at most 3 characters.',
        'move(shape={"kind": "circle", "r": 5})',
    ),
    "nested too deeply": (
        MOVE,
        {"shape": BOX, "tag": DEEP, "extra": {"a": 1}},
        (
            'move: "tag[0][0][0][0][0][0][0][0][0][0][0][0]…[0][0][0][0][0][0]" was '
            "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[…]]]]]]]]]]]]]]]]]]], expected a value nested at"
            " most 100 levels deep."
        ),
        'move(shape={"kind": "circle", "r": 5})',
    ),
    "too large": (
        MOVE,
        {"shape": BOX, "tag": [None] * 1_000_000, "extra": {"a": 1}},
        "move: the arguments are too large or too deeply nested to be checked.",
        'move(shape={"kind": "circle", "r": 5})',
    ),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_model_is_told_what_was_wrong_and_what_is_right(name: str) -> None:
    spec, arguments, wrong, right = MESSAGES[name]
    with pytest.raises(InvalidArguments) as refusal:
        ArgumentChecker(spec).check(arguments)
    assert refusal.value.message == f"{wrong} Example: {right}"
    assert len(refusal.value.message) <= 240
