"""Numbers of things in English, as every sentence of ours says them."""

# How plurals end, and what takes that place for one; the first that fits.
_PLURALS = (("ies", "y"), ("sses", "ss"), ("xes", "x"), ("ches", "ch"), ("shes", "sh"), ("ss", "ss"), ("s", ""))


def number_of(number: int, things: str) -> str:
    """`3 files`, and `1 file`: `things` is an English plural."""
    if number != 1:
        return f"{number} {things}"
    for plural, singular in _PLURALS:
        if things.endswith(plural):
            return f"1 {things.removesuffix(plural)}{singular}"
    return f"1 {things}"
