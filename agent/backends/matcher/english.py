"""Ordinary English for the built-in matcher: the words around values, units, currencies, numbers."""

from __future__ import annotations

from gemmagraph.tools.selection.words import word_set

PREPOSITIONS = word_set(
    """
    about above after against around as at before behind below between by called concerning containing
    during for from in inside into like mentioning named near of on onto over regarding since than
    through titled to toward towards under until via with within without
    """
)

DETERMINERS = word_set("a an the my our your his her their its this that these those any all some every")

UNITS = word_set(
    """
    mm millimeter millimeters millimetre millimetres cm centimeter centimeters centimetre centimetres m
    meter meters metre metres km kilometer kilometers kilometre kilometres in inch inches ft foot feet
    yd yard yards mi mile miles mg milligram milligrams g gram grams kg kilo kilos kilogram kilograms t
    ton tons tonne tonnes oz ounce ounces lb lbs pound pounds stone c celsius f fahrenheit k kelvin ml
    milliliter milliliters millilitre l liter liters litre litres gal gallon gallons pint pints cup cups
    tbsp tsp b byte bytes kb mb gb tb kib mib gib tib kilobyte kilobytes megabyte megabytes gigabyte
    gigabytes terabyte terabytes bit bits ms s sec second seconds min minute minutes h hr hour hours day
    days week weeks month months year years mph kmh knot knots j joule joules cal kcal calorie calories
    w watt watts kwh pa bar psi hectare hectares acre acres
    """
)

_CURRENCY_NAMES = """
USD $ usd dollar dollars buck bucks
EUR € eur euro euros
GBP £ gbp pound pounds sterling
JPY ¥ jpy yen
CHF chf franc francs
INR inr rupee rupees
CNY cny yuan
PLN pln zloty
""".strip()
CURRENCIES = {name: code for code, *names in map(str.split, _CURRENCY_NAMES.splitlines()) for name in names}
"""Names and signs, and the code they mean."""
CURRENCY_CODES = frozenset(CURRENCIES.values()) | word_set(
    """
    AED ARS AUD BGN BRL CAD CLP COP CZK DKK EGP HKD HUF IDR ILS ISK KES KRW MAD MXN MYR NGN NOK NZD PEN PHP
    QAR RON RUB SAR SEK SGD THB TRY TWD UAH VND ZAR
    """
)
"""Known only in capitals: in small letters some are words."""

_UNDER_TWENTY = """
zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
seventeen eighteen nineteen
"""
_TENS = "ten twenty thirty forty fifty sixty seventy eighty ninety"
NUMBER_WORDS = {word: 10 * tens for tens, word in enumerate(_TENS.split(), 1)} | {
    word: value for value, word in enumerate(_UNDER_TWENTY.split())
}
SCALES = {"hundred": 100, "thousand": 1_000, "million": 1_000_000, "billion": 1_000_000_000}

WEEKDAYS = word_set("monday tuesday wednesday thursday friday saturday sunday")
