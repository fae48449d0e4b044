"""Dates, and times in the zones of the world: the functions behind dates.yaml."""

import datetime as dt
import difflib
from calendar import monthrange
from typing import Literal
from zoneinfo import ZoneInfo, available_timezones

from gemmagraph.tools import ToolDefinitionError, ToolError

ZONES = sorted(available_timezones())
if not ZONES:
    raise ToolDefinitionError("This system has no list of time zones.", hint="Install one: pip install tzdata")


def current_time(zone: str = "UTC") -> str:
    """Tell the date and the time of now, in a time zone.

    Args:
        zone: The zone, for example "Europe/Berlin", or a city: "Tokyo".
    """
    return _told(dt.datetime.now(_zone(zone)))


def convert_time(time: dt.datetime, from_zone: str, to_zone: str) -> str:
    """Tell what a time in one time zone is in another.

    Args:
        time: Date and time, for example 2027-05-03T09:00.
        from_zone: The zone of that time, for example "America/New_York", or a city: "Tokyo".
        to_zone: The zone to convert to.
    """
    here, there = _zone(from_zone), _zone(to_zone)
    local = time.replace(tzinfo=here) if time.tzinfo is None else time.astimezone(here)
    if local.astimezone(dt.UTC).astimezone(here).replace(tzinfo=None) != local.replace(tzinfo=None):
        raise ToolError(f"{time:%Y-%m-%d %H:%M} does not exist in {here.key}: clocks were put forward there.")
    twice = local.replace(fold=1).utcoffset() != local.utcoffset()
    note = "\nThis time comes twice there, as clocks are put back; this is the first." if twice else ""
    return f"{_told(local)} = {_told(local.astimezone(there))}{note}"


def add_to_date(date: dt.date, amount: int, unit: Literal["days", "weeks", "months", "years"] = "days") -> str:
    """Tell which date comes so long after, or before, another, and its weekday.

    Args:
        date: The date, for example 2027-05-20.
        amount: How many; less than 0 for a date before.
        unit: What to count.
    """
    try:
        if unit in ("days", "weeks"):
            return _day(date + dt.timedelta(**{unit: amount}))
        months = date.year * 12 + date.month - 1 + amount * (12 if unit == "years" else 1)
        year, month = months // 12, months % 12 + 1
        # The last day of a shorter month: 31 January and a month is 28 February.
        return _day(dt.date(year, month, min(date.day, monthrange(year, month)[1])))
    except (OverflowError, ValueError) as problem:
        raise ToolError("That date is too far away.") from problem


def days_between(start: dt.date, end: dt.date) -> str:
    """Count the days from one date to another.

    Args:
        start: The first date, for example 2027-03-28.
        end: The second date.
    """
    days = (end - start).days
    weeks = f" ({abs(days) // 7} weeks and {abs(days) % 7} days)" if abs(days) >= 7 else ""
    return f"{days} days{weeks} from {_day(start)} to {_day(end)}"


def _zone(name: str) -> ZoneInfo:
    """A zone by its name, or by its city."""
    wanted = name.strip().casefold().replace(" ", "_")
    found = [zone for zone in ZONES if zone.casefold() == wanted]
    found = found or [zone for zone in ZONES if zone.casefold().rpartition("/")[2] == wanted]
    if not found:
        cities = {zone.casefold().rpartition("/")[2]: zone for zone in ZONES} | {z.casefold(): z for z in ZONES}
        near = [cities[close] for close in difflib.get_close_matches(wanted, cities, n=3)]
        hint = f"Did you mean {' or '.join(near)}?" if near else "Names are like Europe/Berlin or Asia/Tokyo."
        raise ToolError(f"There is no time zone {name!r}.", hint=hint)
    return ZoneInfo(found[0])


def _told(time: dt.datetime) -> str:
    zone = time.tzinfo
    assert isinstance(zone, ZoneInfo)
    return f"{time:%A %Y-%m-%d %H:%M} in {zone.key} (UTC{time:%z})"


def _day(date: dt.date) -> str:
    return f"{date:%A} {date.isoformat()}"
