"""What the assistant's Python tool is made of."""

RATES = {("EUR", "JPY"): 160.0}
asked = []


def convert(amount: float, base: str, quote: str) -> float:
    """Converts an amount of money.

    Args:
        amount: How much.
        base: The currency it is in, such as EUR.
        quote: The currency it is wanted in.
    """
    asked.append((amount, base, quote))
    return amount * RATES[base, quote]
