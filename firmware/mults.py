"""How many multiplications one token costs a transformer: integers only, any size.

Three counts of the same step, for L layers, h heads, widths d_model, d_head, d_ff, a context of
n_ctx tokens and a vocabulary:

- ``page`` and ``script`` are the two forms published by Ciro Santilli
  (cirosantilli.github.io, artificial-intelligence.bigb and llm_count_mults.py), to the digit. They
  differ from each other, and both over-count: the page multiplies d_model by d_model once per head,
  and both let attention read n_ctx * d_model per head where a head reads n_ctx * d_head.
- ``exact`` is one decode step of multi-head attention with a two-matrix MLP and the output head.
- ``params`` are the script's parameters.

A multiplication is not a FLOP: a FLOP count would be twice this. Nothing here divides or rounds,
and the chip's single-precision floats could not hold the results.
"""

# Each form is a sum of products; a number stands for itself, a name for the hyperparameter.
FORMS = (
    (
        "page",
        (
            ("L", "h", 2, "d_model", "d_head"),
            ("L", "h", "n_ctx", "d_head"),
            ("L", "h", "d_model", "d_model"),
            ("L", "h", "n_ctx", "d_model"),
            ("L", 2, "d_model", "d_ff"),
        ),
    ),
    (
        "script",
        (
            ("L", "h", 4, "d_model", "d_head"),
            ("L", "h", "n_ctx", "d_head"),
            ("L", "h", "n_ctx", "d_model"),
            ("L", 2, "d_model", "d_ff"),
            ("d_model", "vocab"),
        ),
    ),
    (
        "exact",
        (
            ("L", "h", 4, "d_model", "d_head"),
            ("L", "h", 2, "n_ctx", "d_head"),
            ("L", 2, "d_model", "d_ff"),
            ("d_model", "vocab"),
        ),
    ),
    (
        "params",
        (
            ("L", "h", 4, "d_model", "d_head"),
            ("L", 2, "d_model", "d_ff"),
            ("d_model", "vocab"),
        ),
    ),
)
NAMES = ("L", "h", "d_model", "d_head", "n_ctx", "d_ff", "vocab")


def product(term, sizes):
    """One term with its hyperparameters filled in."""
    total = 1
    for factor in term:
        total *= factor if isinstance(factor, int) else sizes[factor]
    return total


def count(form, sizes):
    """The whole sum of a form by name; ``sizes`` maps NAMES to integers."""
    for name, terms in FORMS:
        if name == form:
            return sum(product(term, sizes) for term in terms)
    raise ValueError(form)


class Counter:
    """The same sums, one term a call, so that a control loop can count in its spare time."""

    def __init__(self, sizes):
        self.sizes = sizes
        self._form = 0
        self._term = 0
        self._total = 0

    def step(self):
        """Add one term. Returns (form, total) when that completes a form, else None."""
        name, terms = FORMS[self._form]
        self._total += product(terms[self._term], self.sizes)
        self._term += 1
        if self._term < len(terms):
            return None
        result = (name, self._total)
        self._form += 1
        self._term = 0
        self._total = 0
        return result

    @property
    def done(self):
        """True when every form has been reported."""
        return self._form >= len(FORMS)
