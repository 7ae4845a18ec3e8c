"""What a model takes: its parameters, bytes of weights, cache and recurrent states."""

from __future__ import annotations

from thermoflop.errors import UsageError
from thermoflop.model.architecture import parameters
from thermoflop.model.architecture.formats import parse_format
from thermoflop.model.operators.step import Step, checked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from thermoflop.base.number import Number
    from thermoflop.model.architecture.description import Description


class Sizes:
    """The half of a ``Model`` that no step is needed for."""

    if TYPE_CHECKING:

        @property
        def description(self) -> Description:
            """The stacks of layers."""

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
        """Bytes of all parameters in a number format.

        Args:
            dtype: fp32, tf32, bf16 (default), fp16, fp8, int8, int4 or mxfp4; ``int4-g64`` has
                groups of 64. A quantized one holds for the matrices in layers.
            kept: format of what quantization leaves alone (heads, tables, norms, biases,
                routers). None: bf16 beside a quantized ``dtype``, else ``dtype``.

        Returns:
            Bytes, scales of quantized groups included.

        Raises:
            UsageError: for a format that is not known.

        Example:
            >>> import thermoflop as tf
            >>> tf.load_model("gpt2").weight_bytes()  # 2 x 124,439,808
            248879616
            >>> tf.load_model("gpt2").weight_bytes("fp32") == 4 * 124_439_808
            True
        """
        weights = parse_format(dtype)
        unquantized = parse_format(kept or ("bf16" if weights.quantized else dtype))
        return parameters.stored_bytes(self.description, weights, unquantized)

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
        """Bytes of the cache of keys and values.

        Args:
            tokens: tokens of each sequence; a whole number or an array of them.
            batch: sequences; a whole number or an array, 1 by default.
            dtype: number format of the cache, as in ``weight_bytes``; bf16 by default.
            encoder: source positions that cross attention keeps as well, of an encoder-decoder;
                a whole number or an array, 0 by default.
            page: tokens in a block of a paged cache, of which each sequence fills the last one
                in part. None: as many tokens as there are.
            mla: what latent attention keeps: ``latent`` (default) or ``expanded`` keys and values.
            windowed: whether layers with a window keep its tokens alone (default), or all.

        Returns:
            Bytes of all sequences and layers; 0 for an encoder, which has no cache.

        Raises:
            UsageError: for a size, a format, ``page`` or ``mla`` that makes no sense.

        Example:
            >>> import thermoflop as tf
            >>> llama = tf.load_model("llama-3-8b")
            >>> llama.kv_bytes(1)  # 2 (keys, values) x 32 layers x 8 heads x 128 x 2 bytes
            131072
            >>> llama.kv_bytes(1000, batch=4, page=16) == 4 * 1008 * 131072
            True
        """
        if mla not in ("latent", "expanded", "absorbed"):
            raise UsageError(f"mla={mla!r} is not a cache: expected latent or expanded")
        checked(Step(batch=batch, cached=tokens, encoder=encoder))
        if page is not None and (type(page) is not int or page < 1):
            raise UsageError(f"page={page!r} makes no sense: expected a whole number of tokens")
        chosen = parse_format(dtype)
        from thermoflop.model.architecture.cache import cache_elements
        from thermoflop.model.operators.sweep import widened

        def count(described: Description, length: Number, source: Number, many: Number) -> Number:
            elements = cache_elements(described, length, source, page, mla, windowed)
            return chosen.bytes_of(many * elements)

        return widened(count, self.description, tokens, encoder, batch)

    def state_bytes(self, batch: Number = 1, dtype: str = "bf16") -> Number:
        """Bytes of recurrent states (Mamba, gated delta rule), whatever the length.

        Args:
            batch: sequences; a whole number or an array, 1 by default.
            dtype: number format of the states, as in ``weight_bytes``; bf16 by default.

        Returns:
            Bytes of all sequences and layers; 0 without a recurrence.

        Raises:
            UsageError: for a format that is not known.

        Example:
            >>> import thermoflop as tf  # 24 layers, 1536 channels x (16 states + 4 taps)
            >>> tf.load_model("mamba-130m").state_bytes() == 2 * 24 * 1536 * (16 + 4)
            True
        """
        chosen = parse_format(dtype)
        from thermoflop.model.architecture.cache import state_elements
        from thermoflop.model.operators.sweep import widened

        return widened(
            lambda described, many: chosen.bytes_of(many * state_elements(described)),
            self.description,
            batch,
        )


def instead_of(purpose: str, *, encodes: bool) -> str:
    """What a model does that generates no token after token, in words."""
    if purpose == "unmask":
        return "writes by removing masks, and runs every position anew each step"
    return "encodes in one step" if encodes else f"{purpose}s in one step"


def beyond(longest: int | None, length: int) -> str:
    """A sentence where so many tokens are more than a configuration states; else ""."""
    if longest is None or length <= longest:
        return ""
    return f"{length:,} tokens are more than the {longest:,} that the configuration states"
