"""A model and its steps: operators of a prompt, a token, a generation, a training step."""

from __future__ import annotations

from thermoflop.base.record import record
from thermoflop.errors import UsageError
from thermoflop.model.architecture.formats import choose_formats
from thermoflop.model.operators.build import build_operators, source_positions
from thermoflop.model.operators.step import Step, checked
from thermoflop.model.sizes import Sizes, instead_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from thermoflop.base.number import Number
    from thermoflop.model.architecture.description import Description
    from thermoflop.model.architecture.quantization import Quantization
    from thermoflop.model.config.stored_files import StoredWeights
    from thermoflop.model.operators.generation import Generation
    from thermoflop.model.operators.table import OperatorTable
    from thermoflop.model.operators.training import Training


@record
class Model(Sizes):
    """A transformer: made by ``load_model``, immutable, and equal to another with equal fields.

    Every count is a whole number (int). Where a size that is handed in is a numpy array, counts
    are arrays: int64 if the largest one fits, else float64.

    Attributes:
        name: what it is called in tables; the name in the catalogue, or of the file's folder.
        family: the ``model_type`` that it was read as.
        description: its stacks of layers, with the shape of every part.
        max_positions: the longest sequence in tokens that the configuration states, or None.
        source: where the configuration comes from: a path, a measurement or a publication.
        notes: sentences on what is counted in an unusual way; most models have none.
        quantization: the formats of weights and cache as published; None where nothing is said.
        stored: the weights by the headers of files beside the configuration; None without them.
        named_format: the number format that the name says by which it was asked for, such as
            ``q4_k_m`` of ``llama3.1:8b-q4_K_M``, or means as a name of Ollama's library; None
            where it says none.
        format_said: a sentence about ``named_format``, or about files that are missing; or empty.
        hub_id: the Hugging Face id by which it was asked for; empty where it was not.
        format_unknown: what is said of the format of its weights and not understood; or empty.
        purpose: ``generate``; ``embed`` or ``rank`` where it is trained for that, by the catalogue
            or by the head of its class: then one forward pass is all that it runs; ``unmask``
            where it writes by removing masks (LLaDA, Dream), in passes over all positions.
        assumed: those of the notes on what the configuration says and is left out, on what it
            does not say and was taken from the class, and on what a step is; most have none.

    Example:
        >>> import thermoflop as tf
        >>> model = tf.load_model("gpt2")
        >>> model.params  # as published
        124439808
        >>> model.family, model.max_positions, model.tied, model.is_encoder
        ('gpt2', 1024, True, False)
        >>> model.params_by_group["mlp"] == 12 * (2 * 768 * 3072 + 3072 + 768)
        True
        >>> round(tf.load_model("mixtral-8x7b").active_params / 1e9, 1)  # of 46.7e9
        12.9
    """

    name: str
    family: str
    description: Description
    max_positions: int | None = None
    source: str = ""
    notes: tuple[str, ...] = ()
    quantization: Quantization | None = None
    stored: StoredWeights | None = None
    named_format: str | None = None
    format_said: str = ""
    hub_id: str = ""
    format_unknown: str = ""
    purpose: str = "generate"
    assumed: tuple[str, ...] = ()

    @property
    def generates(self) -> bool:
        """Whether it writes tokens, and does not only read."""
        return self.purpose == "generate" and not self.is_encoder

    def operators(
        self,
        batch: Number = 1,
        new: Number = 1,
        cached: Number = 0,
        encoder: Number = 0,
        *,
        images: Number | str | None = None,
        audio: str | float | None = None,
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
        """The operators of one forward step. Sizes are whole numbers or numpy arrays of them.

        Args:
            batch: sequences.
            new: tokens of each sequence that are run.
            cached: tokens of each sequence in the cache already.
            encoder: source positions of an encoder-decoder.
            images: for a model that sees, images in all, of the size that its tower is made for; or
                what each sequence brings as ``2x1024x768`` (count x width x height in pixels).
                None: one a sequence where the model cannot do without, else none.
            audio: for a model that hears, the clip that each sequence brings: seconds, or ``30s``.
                None: none.
            encode: whether the encoder runs in this step. None: where nothing is cached.
            attention: ``full`` (every query meets every key), ``windowed`` or ``causal``; this and
                the next six are the conventions of counting, explained in ``Step``.
            logits: ``all`` positions, the ``last`` of each sequence, or ``none``.
            mla: form of latent attention: ``latent``, ``expanded`` or ``absorbed``.
            kernels: ``fused`` (scores stay on the chip) or ``eager``.
            experts: ``routed`` to the top-k, or ``all``.
            expert_reads: weights read of the ``expected`` number of experts, of the ``fewest`` that
                may be, or of ``all``.
            convolution: ``padded`` as the reference code runs it, or ``needed``.
            dtype: number format of all three that follow, as in ``weight_bytes``; one that only
                weights have (``awq``, ``q8_0``, ``nf4``, ...) leaves the other two in bf16.
            weights: format of weights. None: ``dtype``.
            activations: format of activations. None: ``dtype``.
            cache: format of keys, values and states. None: ``dtype``.

        Returns:
            The table; with arrays among the sizes, a sweep: each total has their common shape.

        Raises:
            UsageError: for a value that makes no sense, or that this kind of model cannot run.

        Example:
            >>> import thermoflop as tf
            >>> table = tf.load_model("gpt2").operators(cached=1023)
            >>> table.flops == 12 * (24 * 768**2 + 4 * 768 * 1024) + 2 * 768 * 50257
            True
        """
        formats = choose_formats(dtype, weights, activations, cache)
        conventions = (attention, logits, mla, kernels, experts, expert_reads, convolution)
        description, heard = self.description, 0
        if isinstance(images, str) or audio is not None:
            from thermoflop.model.media import with_media

            description, media = with_media(description, self.name, images, audio)
            images = media.images * batch if isinstance(images, str) else images
            heard = media.clips * batch
        step = checked(Step(batch, new, cached, encoder, images, encode, *conventions, heard))
        self._check_fits(step)
        sizes = (description.stacks[0].hidden, batch, new, cached, encoder, images or 0)
        if all(type(size) is int for size in sizes):
            from thermoflop.model.operators.table import OperatorTable

            operators = build_operators(description, step)
            return OperatorTable(self.name, operators, step, formats)
        from thermoflop.model.operators.sweep import table_of

        return table_of(self.name, description, step, formats)

    def _check_fits(self, step: Step) -> None:
        """UsageError for a step that this kind of model cannot run."""
        if self.is_encoder and not (type(step.cached) is int and step.cached == 0):
            does = instead_of(self.purpose, encodes=True)
            raise UsageError(f"{self.name} {does}: it has no cache to decode from")
        if type(step.new) is int and 0 < step.new < self.description.stacks[0].shortest:
            raise UsageError(f"{self.name} hears nothing in a clip of {step.new} samples")
        if step.images is not None and self.description.stack("image") is None:
            raise UsageError(
                f"{self.name} sees nothing: images={step.images!r:.40} is for models that do"
            )
        source = source_positions(self.description, step)
        if type(source) is not int:
            return
        if source and not self.is_encoder_decoder:
            raise UsageError(
                f"{self.name} has no encoder: encoder={source} is for models that have one"
            )
        if not source and self.is_encoder_decoder:
            raise UsageError(f"{self.name} reads a source: say encoder=, its length")

    def prefill(self, tokens: Number, batch: Number = 1, **options: Any) -> OperatorTable:
        """The step that reads a prompt.

        Args:
            tokens: tokens of the prompt of each sequence, at least 1; whole or an array.
            batch: sequences; a whole number or an array, 1 by default.
            **options: the other arguments of ``operators``, by name.

        Returns:
            The operator table of the step.

        Raises:
            UsageError: as ``operators`` does.

        Example:
            >>> import thermoflop as tf
            >>> tf.load_model("gpt2").prefill(128, batch=2)
            <OperatorTable gpt2: 18 operators, batch=2, new=128, cached=0, flops=64456359936>
        """
        if type(tokens) is int and tokens < 1:
            raise UsageError(f"a prompt of {tokens} tokens makes no sense: expected at least 1")
        return self.operators(batch, tokens, 0, **options)

    def decode(self, cached: Number, batch: Number = 1, **options: Any) -> OperatorTable:
        """The step that adds one token to each sequence.

        Args:
            cached: tokens of each sequence before it; a whole number or an array.
            batch: sequences; a whole number or an array, 1 by default.
            **options: the other arguments of ``operators``, by name.

        Returns:
            The operator table of the step.

        Raises:
            UsageError: as ``operators`` does; an encoder cannot decode.

        Example:
            >>> import thermoflop as tf
            >>> tf.load_model("gpt2").decode(1023).flops  # see ``operators``
            284812800
        """
        if isinstance(options.get("images"), str):
            del options["images"]  # what a prompt brought is in the cache
        options.pop("audio", None)
        return self.operators(batch, 1, cached, **{"encode": False, **options})

    def encode(self, tokens: Number, batch: Number = 1, **options: Any) -> OperatorTable:
        """The encoder alone.

        Args:
            tokens: positions of each sequence; a whole number or an array.
            batch: sequences; a whole number or an array, 1 by default.
            **options: the other arguments of ``operators``, by name.

        Returns:
            The operator table of the step.

        Raises:
            UsageError: as ``operators`` does, and for a model without an encoder.

        Example:
            >>> import thermoflop as tf
            >>> tf.load_model("bert-base-uncased").encode(128).step.new
            128
        """
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
        """One of the three steps, as ``thermoflop ops`` shows it.

        Args:
            prefill: tokens of the prompt. None: ``default_tokens``.
            decode: tokens in the cache, for a decode step. None: no decode step.
            encode: positions, for a step of the encoder alone. None: no such step.
            batch: sequences, 1 by default.
            encoder: source positions of an encoder-decoder. None: as long as the prompt.
            **options: the other arguments of ``operators``, by name. The tokens of ``images`` of
                a size and of ``audio`` come on top of ``prefill`` or ``decode``.

        Returns:
            The operator table of ``encode`` if it is given, else ``decode``, else the prompt.

        Raises:
            UsageError: as ``operators`` does.

        Example:
            >>> import thermoflop as tf
            >>> tf.load_model("gpt2").step_table().step.new  # the default: a prompt
            1024
        """
        tokens = self.default_tokens if prefill is None else prefill
        if encode is not None:
            return self.encode(encode, batch, **options)
        if self.is_encoder_decoder:
            fixed = source_positions(self.description, Step())
            options["encoder"] = encoder if encoder is not None else fixed or tokens
        elif encoder is not None:
            options["encoder"] = encoder
        brought = self._brought(**options)
        if decode is not None:
            return self.decode(decode + brought, batch, **options)
        return self.prefill(tokens + brought, batch, **options)

    def _brought(self, images: object = None, audio: Any = None, **_options: Any) -> int:
        """Tokens of images and sound that come on top of a prompt's text."""
        if not isinstance(images, str) and audio is None:
            return 0
        from thermoflop.model.media import with_media

        return with_media(self.description, self.name, images, audio)[1].tokens

    @property
    def default_tokens(self) -> int:
        """A prompt of 1024 tokens, or the longest that the model takes."""
        return min(1024, self.max_positions or 1024)

    def generation(self, prompt: int, new: int, batch: int = 1, **options: Any) -> Generation:
        """A prefill and the decode steps after it, summed in closed form.

        Args:
            prompt: tokens of the prompt, at least 1.
            new: tokens generated, at least 1; the prefill gives the first of them.
            batch: sequences, 1 by default.
            **options: the other arguments of ``operators``, by name.

        Returns:
            The totals of the prefill and of ``new - 1`` decode steps.

        Raises:
            UsageError: as ``operators`` does, and for lengths below 1.

        Example:
            >>> import thermoflop as tf
            >>> model = tf.load_model("gpt2")
            >>> steps = model.prefill(16).flops + sum(model.decode(n).flops for n in (16, 17, 18))
            >>> model.generation(16, 4).flops == steps
            True
        """
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
        """One training step: forward, backward at twice the cost, and recomputation.

        Args:
            tokens: tokens of each sequence, at least 1; a whole number or an array.
            batch: sequences; a whole number or an array, 1 by default.
            recompute: what the backward pass computes again: ``none`` (default), ``fine-grained``
                (norms, activations, and queries, keys and values of latents), ``selective``
                (scores, softmax and values) or ``full`` (all layers).
            **options: the other arguments of ``operators``, by name.

        Returns:
            The FLOPs of the step, by pass.

        Raises:
            UsageError: as ``operators`` does, and for another ``recompute``.

        Example:
            >>> import thermoflop as tf
            >>> model = tf.load_model("gpt2")
            >>> model.training(1024).flops == 3 * model.prefill(1024).flops
            True
        """
        from thermoflop.model.operators.again import made_again
        from thermoflop.model.operators.training import Training, check_recompute

        check_recompute(recompute, tokens)
        forward = self.operators(batch, tokens, 0, **options)
        return Training(forward, recompute, made_again(forward, self.description))

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
