"""A model and what can be asked of it: parameters, operators of a step, cache, training."""

from __future__ import annotations

from thermoflop.base.number import ARITHMETIC
from thermoflop.base.record import fields_of, record
from thermoflop.errors import UsageError
from thermoflop.model.architecture import cache, parameters
from thermoflop.model.architecture.formats import choose_formats, parse_format
from thermoflop.model.operators.build import build_operators, source_positions
from thermoflop.model.operators.step import Step, checked
from thermoflop.model.operators.table import OperatorTable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from thermoflop.base.number import Number
    from thermoflop.model.architecture.description import Description
    from thermoflop.model.operators.generation import Generation
    from thermoflop.model.operators.training import Training


@record
class Model:
    """A transformer, described. Made by ``load_model``, or from a ``Description``.

    ``family`` is the ``model_type`` it was read as; ``max_positions`` the longest sequence that
    its configuration speaks of; ``source`` where the configuration comes from.
    """

    name: str
    family: str
    description: Description
    max_positions: int | None = None
    source: str = ""
    notes: tuple[str, ...] = ()

    @property
    def params(self) -> Number:
        """Parameters; a tied matrix counts once."""
        return self._counted(parameters.total)

    @property
    def params_by_group(self) -> dict[str, Number]:
        """Parameters by group: ``attn``, ``mlp``, ``experts``, ``norm``, ``embed_tokens``, ..."""
        return parameters.by_group(self.description)

    @property
    def active_params(self) -> Number:
        """Parameters that work on one token: of the experts, the top-k share. Embeddings count."""
        return self._counted(parameters.active)

    @property
    def bias_params(self) -> Number:
        """Parameters in biases, those of norms included."""
        return self._counted(parameters.biases)

    def _counted(self, count: Callable[[Description], Number]) -> Number:
        """A count of the description; where sizes are arrays, in numbers that cannot wrap."""
        if type(self.description.stacks[0].hidden) is int:
            return count(self.description)
        from thermoflop.model.operators.sweep import widened

        return widened(count, self.description)

    @property
    def tied(self) -> bool:
        """Whether the head shares its matrix with the token embedding."""
        head = self.description.head
        return bool(head is not None and head.tied)

    @property
    def is_encoder(self) -> bool:
        """Whether the model has no cache: it encodes, in one step."""
        decoder = self.description.stack("decoder")
        return decoder is None or not decoder.causal

    @property
    def is_encoder_decoder(self) -> bool:
        """Whether a decoder attends to an encoder."""
        return self.description.stack("encoder") is not None

    def weight_bytes(self, dtype: str = "bf16", kept: str | None = None) -> Number:
        """Bytes of all parameters in a format.

        A quantized format holds for matrices in layers; heads, tables, norms, biases and routers
        stay in ``kept`` (bf16).
        """
        weights = parse_format(dtype)
        wide = parse_format(kept or ("bf16" if weights.quantized else dtype))
        return parameters.stored_bytes(self.description, weights, wide)

    def kv_bytes(
        self,
        tokens: Number,
        batch: Number = 1,
        dtype: str = "bf16",
        *,
        encoder: Number = 0,
        page: int | None = None,
        mla: str = "latent",
        windowed: bool = True,
    ) -> Number:
        """Bytes of the key-value cache of ``batch`` sequences of ``tokens`` tokens.

        ``page`` allocates in whole pages of so many tokens, as engines do; ``mla`` is ``latent``
        or ``expanded``; ``windowed=False`` keeps every token in sliding layers too. ``encoder``
        positions of cross attention are added for an encoder-decoder.
        """
        if mla not in ("latent", "expanded", "absorbed"):
            raise UsageError(f"mla={mla!r} is not a cache: expected latent or expanded")
        checked(Step(batch=batch, cached=tokens, encoder=encoder))
        if page is not None and (type(page) is not int or page < 1):
            raise UsageError(f"page={page!r} makes no sense: expected a whole number of tokens")
        chosen = parse_format(dtype)

        def count(described: Description, held: Number, source: Number, many: Number) -> Number:
            elements = cache.cache_elements(described, held, source, page, mla, windowed)
            return chosen.bytes_of(many * elements)

        from thermoflop.model.operators.sweep import widened

        return widened(count, self.description, tokens, encoder, batch)

    def state_bytes(self, batch: Number = 1, dtype: str = "bf16") -> Number:
        """Bytes of the recurrent states of ``batch`` sequences; 0 without a recurrence."""
        chosen = parse_format(dtype)
        from thermoflop.model.operators.sweep import widened

        return widened(
            lambda described, many: chosen.bytes_of(many * cache.state_elements(described)),
            self.description,
            batch,
        )

    def operators(
        self,
        batch: Number = 1,
        new: Number = 1,
        cached: Number = 0,
        encoder: Number = 0,
        *,
        images: Number | None = None,
        encode: bool | None = None,
        attention: str = "full",
        logits: str = "all",
        mla: str = "latent",
        kernels: str = "fused",
        experts: str = "routed",
        expert_reads: str = "expected",
        convolution: str = "padded",
        dtype: str = "bf16",
        weights: str | None = None,
        activations: str | None = None,
        cache: str | None = None,
    ) -> OperatorTable:
        """The operators of one step: ``new`` tokens after ``cached`` ones, in ``batch`` sequences.

        ``encoder``, ``images`` and ``encode`` as in ``Step``; the conventions from ``attention``
        to ``convolution`` as in ``CONVENTIONS``; the number formats ``dtype`` or one by one. Sizes
        may be numpy arrays: then every total is an array. UsageError for what makes no sense.
        """
        formats = choose_formats(dtype, weights, activations, cache)
        conventions = (attention, logits, mla, kernels, experts, expert_reads, convolution)
        step = checked(Step(batch, new, cached, encoder, images, encode, *conventions))
        self._check_fits(step)
        from thermoflop.model.operators.sweep import is_sweep, prepared, shape_of_sweep

        if not is_sweep(self.description, step):
            operators = build_operators(self.description, step)
            return OperatorTable(self.name, operators, step, formats, _arithmetic(step))
        shape = shape_of_sweep(self.description, step)
        description, step, arithmetic = prepared(self.description, step)
        operators = build_operators(description, step)
        return OperatorTable(self.name, operators, step, formats, arithmetic, shape)

    def _check_fits(self, step: Step) -> None:
        """UsageError for a step that this kind of model cannot run."""
        if self.is_encoder and not (type(step.cached) is int and step.cached == 0):
            raise UsageError(f"{self.name} encodes in one step: it has no cache to decode from")
        if step.images is not None and self.description.stack("image") is None:
            raise UsageError(f"{self.name} sees nothing: images={step.images!r:.40} is for none")
        source = source_positions(self.description, step)
        if type(source) is not int:
            return
        if source and not self.is_encoder_decoder:
            raise UsageError(f"{self.name} has no encoder: encoder={source} is for none")
        if not source and self.is_encoder_decoder:
            raise UsageError(f"{self.name} reads a source: say encoder=, its length")

    def prefill(self, tokens: Number, batch: Number = 1, **options: Any) -> OperatorTable:
        """The step that reads a prompt of ``tokens`` tokens, at least one."""
        if type(tokens) is int and tokens < 1:
            raise UsageError(f"a prompt of {tokens} tokens makes no sense: expected at least 1")
        return self.operators(batch, tokens, 0, **options)

    def decode(self, cached: Number, batch: Number = 1, **options: Any) -> OperatorTable:
        """The step that adds one token to ``cached`` ones."""
        return self.operators(batch, 1, cached, **{"encode": False, **options})

    def encode(self, tokens: Number, batch: Number = 1, **options: Any) -> OperatorTable:
        """The encoder alone, on ``tokens`` positions."""
        if self.is_encoder_decoder:
            return self.operators(batch, 0, 0, tokens, **options)
        if not self.is_encoder:
            raise UsageError(f"{self.name} has no encoder: say prefill={tokens!r:.40} instead")
        return self.operators(batch, tokens, 0, **options)

    def step_table(
        self,
        prefill: int | None = None,
        decode: int | None = None,
        encode: int | None = None,
        batch: int = 1,
        encoder: int | None = None,
        **options: Any,
    ) -> OperatorTable:
        """The table of whichever step is asked for; by default a prefill of ``default_tokens``.

        Without ``encoder`` an encoder-decoder reads a source as long as its prompt.
        """
        tokens = self.default_tokens if prefill is None else prefill
        if encode is not None:
            return self.encode(encode, batch, **options)
        if self.is_encoder_decoder:
            fixed = source_positions(self.description, Step())
            options["encoder"] = encoder if encoder is not None else fixed or tokens
        elif encoder is not None:
            options["encoder"] = encoder
        if decode is not None:
            return self.decode(decode, batch, **options)
        return self.prefill(tokens, batch, **options)

    @property
    def default_tokens(self) -> int:
        """A prompt of 1024 tokens, or the longest that the model takes."""
        return min(1024, self.max_positions or 1024)

    def generation(self, prompt: int, new: int, batch: int = 1, **options: Any) -> Generation:
        """Prefill of ``prompt`` tokens, then ``new`` tokens one by one, summed in closed form."""
        from thermoflop.model.operators.generation import Generation, check_lengths, decode_totals
        from thermoflop.model.operators.totals import Totals, totals_of

        check_lengths(prompt, new)
        prefill = self.prefill(prompt, batch, **options)

        def at(cached: int) -> Totals:
            return totals_of(self.decode(cached, batch, **options))

        chunked = prefill.step.attention == "causal"
        decoding = decode_totals(self.description, at, prompt, new, chunked)
        return Generation(prompt, new, batch, prefill, decoding)

    def training(
        self, tokens: Number, batch: Number = 1, *, recompute: str = "none", **options: Any
    ) -> Training:
        """One training step: forward, backward (twice the forward) and recomputation."""
        from thermoflop.model.operators.training import Training, check_recompute

        check_recompute(recompute, tokens)
        return Training(self.operators(batch, tokens, 0, **options), recompute)

    def __repr__(self) -> str:
        return f"<Model {self.name}: {self.family}, {self.params:,} parameters>"

    def _repr_html_(self) -> str:
        from html import escape

        rows = "".join(
            f"<tr><td>{escape(group)}</td><td>{count:,}</td></tr>"
            for group, count in self.params_by_group.items()
        )
        return (
            f"<p><b>{escape(self.name)}</b> ({escape(self.family)}): {self.params:,} parameters, "
            f"{self.active_params:,} active</p><table>{rows}</table>"
        )


def _arithmetic(step: Step) -> str:
    from thermoflop.base.number import common_kind

    kind = common_kind(*(size for size in fields_of(step).values() if type(size) is not str))
    return ARITHMETIC["sympy" if kind == "sympy" else "int"]
