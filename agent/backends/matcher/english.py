"""Ordinary English for the built-in matcher: stems, small words, words that mean much the same.

Nothing here knows a tool. The tables hold everyday vocabulary of the things that tools are about; a word
may stand in several groups. Entries joined with `_` are phrases, found also with one other word in between
("send it back").
"""

from __future__ import annotations

from functools import lru_cache


def word_set(text: str) -> frozenset[str]:
    return frozenset(text.split())


STOP_WORDS = word_set(
    """
    a about above after again all already also am an and another any anybody anyone anything are as at
    be been being below between both but by can cannot could currently did do does doing done each
    either else ever every everything exist exists few for from get gets getting give got had has have
    having he hello her here hey hi him his how i if in into is it its just kindly know let lets like
    list look looking made make makes many may me might mine more most much must my named need needs no
    nor not now of off ok okay on one ones only onto or our out over own per please present quick
    quickly really right same see shall she should show so some somebody someone something still such
    tell than thank thanks that the their them then there these they thing things this those through to
    today too under until up upon us very want wants was we were what whatever when where whether which
    while who whom whose why will with within without would yes yet you your called titled s t m d re ve
    ll whats wheres whos hows im id ive
    """
)

PREPOSITIONS = word_set(
    """
    about above after against around as at before behind below between by called concerning containing
    during for from in inside into like mentioning named near of on onto over regarding since than
    through titled to toward towards under until via with within without
    """
)

DETERMINERS = word_set("a an the my our your his her their its this that these those any all some every")

_GROUPS = """
disk drive storage filesystem partition ssd
space room capacity full fill usage
memory ram swap
cpu processor load busy heavy overload utilization
usage use used using uses consume consumption consuming
free available availability left remaining remain vacant empty gap unused
big large huge biggest largest greatest maximum heavy hog fattest take_up
small little smallest tiny minimum least
file document
folder directory dir
search find lookup look_up look_for locate grep seek hunt occurrence mention contain
log logfile syslog
line row
process running program daemon pid task_manager
run running alive up active status crash crashing healthy state
calculate compute evaluate work_out math arithmetic sum reckon
convert conversion change_into turn_into transform into
weather outside outdoors rain raining rainy snow snowing sunny cloudy wind windy
temperature warm hot cold cool hotter colder warmer cooler heat degree degrees chilly freezing thermometer
forecast prediction outlook coming upcoming next_days next_week will_be
air pollution smog pollen
quality bad good
sun sunrise sunset dawn dusk sunlight daylight go_down come_up
warning alert alarm danger caution
compare comparison versus vs than difference hotter colder warmer
event appointment meeting schedule agenda calendar meet
attendee attend guest participant invite invited coming accept
next upcoming comes_up coming_up soon
week weekly
day date
order purchase buy bought
status state progress where arrive arrival arrived delivery deliver delivered shipped
product item article goods sell catalogue merchandise
stock inventory supply left warehouse have_left
customer client buyer shopper
contact phone telephone address
return refund give_back send_back bring_back take_back
policy rule terms
top best popular bestselling favourite favorite
seller selling sell sold
currency money cash
exchange rate conversion
price cost worth trade trading expensive fee charge how_expensive
share ticker equity
loan mortgage credit borrow lend borrowed
payment pay installment instalment
tax vat gst duty
percent percentage rate
interest rate
count number amount quantity total
word term
character letter
text string sentence phrase
reverse backward backwards flip mirror
case caps uppercase lowercase capital capitalize
upper uppercase caps capital
lower lowercase
replace substitute swap exchange instead in_place
hash checksum digest fingerprint
language tongue idiom
detect recognize identify guess
encode encoded encoding
decode decoded decoding
note memo jot write wrote written jot_down
read open view say says content whole
recent latest last lately newest recently new past
change edit edited modify modified alter update updated touch
tag label tagged labelled category
todo to_do task chore
finished complete completed done closed
prime
factor factorize factorise break_down decompose split
divisor divide divides divisible
average mean typical
power exponent raised squared cubed
root
random pick roll dice chance surprise draw
namespace
pod container
deployment deploy deployed
replica copy instance
node host machine server
history previous earlier past evolution evolve
revision version release
cluster kubernetes
translate translation say_in render
define definition mean meaning means
synonym another_word other_word similar_word same_meaning
antonym opposite contrary
rhyme rhyming
spell spelling spelled spelt typo misspelled
origin etymology come_from comes_from came_from derive derived stem
song track tune
album record lp discography
artist band singer musician
genre style kind
lyrics lyric words_to words_of
similar alike like sound_like sounds_like resemble
play played playing listen listened hear heard
often frequently
title name called heading
author writer by_whom wrote
person people employee colleague staff somebody coworker worker
manager boss supervisor report_to lead
team group squad crew
holiday vacation leave absence day_off days_off time_off
away absent out off
job position vacancy opening role hire hiring
salary wage pay
train rail railway railroad
station stop
departure depart leave leaves leaving
arrival arrive arriving
connection route journey trip travel get_from get_to
delay late delayed punctual on_time
ticket fare
flight plane airline fly
hotel accommodation stay
book novel
distance far how_far
duration long how_long take_long
time hour clock
birthday birth born
age old how_old
recipe cook dish meal make_dinner
ingredient
calorie calories nutrition protein fat carb carbohydrate
light lamp bulb
window door
battery charge charged
energy electricity power consumption
camera video footage
humidity humid damp
device gadget
commit commits committed committing
branch
repository repo
code source
user account login
message mail email
invoice bill
website site page url link
image picture photo
error failure fail failing exception problem fault worrying wrong trouble
service daemon
network internet connection
port socket
uptime up_since
size big large
backup snapshot
test check verify
list enumerate
owner belongs_to
country nation
city town
population inhabitant people
capital
news headline
""".strip()


_WHOLE = word_set("latest interest request number")
"""Words whose end only looks like an ending."""


@lru_cache(maxsize=20_000)
def stem(word: str) -> str:
    """The word without its usual endings; not always a word, but the same for its forms."""
    word = word.lower().replace("’", "'").removesuffix("'s").replace("'", "")
    if not word.isalpha() or len(word) < 4:
        return word
    word = _singular(word)
    for endings in (("ing", "ed"), ("est", "er", "ly", "able")):
        for ending in endings:
            if word.endswith(ending) and len(word) - len(ending) >= 3 and word not in _WHOLE:
                word = word.removesuffix(ending)
                break
    doubled = len(word) > 4 and word[-1] == word[-2] and word[-1] not in "ls"
    if doubled or (len(word) > 3 and word.endswith("e")):
        word = word[:-1]
    return word[:-1] + "i" if len(word) > 2 and word.endswith("y") else word


def _singular(word: str) -> str:
    if word.endswith("ies"):
        return word[:-3] + "y"
    if word.endswith(("sses", "shes", "ches", "xes")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith(("ss", "us", "is")) else word


def _concepts() -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[tuple[str, str], ...]]]:
    """The groups of each word; for each word that begins a phrase, its second word and the group."""
    single: dict[str, dict[str, None]] = {}
    phrases: dict[str, dict[tuple[str, str], None]] = {}
    for number, line in enumerate(_GROUPS.splitlines()):
        concept = f"~{number}"
        for entry in line.split():
            first, *rest = (stem(part) for part in entry.split("_"))
            if rest:
                phrases.setdefault(first, {})[rest[0], concept] = None
            else:
                single.setdefault(first, {})[concept] = None
    return (
        {word: tuple(found) for word, found in single.items()},
        {word: tuple(found) for word, found in phrases.items()},
    )


_SINGLE, _PHRASES = _concepts()


def concepts(word: str) -> tuple[str, ...]:
    """The groups that a stem stands in."""
    return _SINGLE.get(word, ())


def phrase_concepts(first: str, following: tuple[str, ...]) -> list[str]:
    """The groups of the phrases that begin with the stem `first` and end in one of those that follow it."""
    return [concept for second, concept in _PHRASES.get(first, ()) if second in following]


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
