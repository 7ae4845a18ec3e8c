"""What a model is made of: stacks of layers between a front and a head. No formulas here."""

from __future__ import annotations

from math import inf

from thermoflop.base.number import Number, maximum
from thermoflop.base.record import record, replace
from thermoflop.model.architecture.parts import Linear, Norm, Part, Table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from thermoflop.model.architecture.feedforward import FeedForward
    from thermoflop.model.architecture.grid import Grid
    from thermoflop.model.architecture.mixers import Attention, Mixer
    from thermoflop.model.architecture.sparse import Streams


@record
class Layer:
    """One layer: a mixer, a cross attention and a feed-forward, each may be absent.

    ``idle`` is a cross attention that is kept and does no work (a decoder without its encoder).
    ``streams`` stand in place of the one residual stream (DeepSeek-V4; mixer and feed-forward).
    ``kept`` are parts whose work is too little to be listed.
    ``others`` are parts beside them that run on every token: inputs of the layer's own, a low-rank
    residual, a mix of streams (Gemma 3n).
    """

    kind: str
    hidden: Number
    norms: tuple[Norm, ...]
    mixer: Mixer | None = None
    cross: Attention | None = None
    feed: FeedForward | None = None
    idle: Attention | None = None
    streams: Streams | None = None
    kept: tuple[Part, ...] = ()
    others: tuple[Placed, ...] = ()

    @property
    def branches(self) -> int:
        """How many results are added to the residual stream."""
        return sum(part is not None for part in (self.mixer, self.cross, self.feed))

    @property
    def norms_after(self) -> tuple[Norm, ...]:
        """The norms whose results go to the residual stream: every other one where there are two
        for each branch (Gemma 2); all others run before what they feed."""
        return self.norms[1::2] if len(self.norms) == 2 * self.branches else ()

    @property
    def norms_before(self) -> tuple[Norm, ...]:
        """The norms whose results enter the layer's blocks."""
        return self.norms[::2] if self.norms_after else self.norms

    @property
    def mixers(self) -> tuple[Mixer, ...]:
        """What mixes tokens here: one mixer, several side by side, or none."""
        return () if self.mixer is None else getattr(self.mixer, "mixers", (self.mixer,))

    def parts(self) -> Iterator[Part]:
        """Everything in the layer that holds parameters."""
        for block in (self.mixer, self.cross, self.feed, self.idle):
            if block is not None:
                yield from block.parts()
        yield from (*self.norms, *self.kept)
        if self.streams is not None:
            yield from (*self.streams.parts("attn"), *self.streams.parts("mlp"))
        yield from (placed.part for placed in self.others)


@record
class Run:
    """``times`` executions of one kind of layer with ``copies`` sets of weights (None: as many).

    ALBERT runs one set of weights twelve times. ``at`` are the numbers of the layers, from 0,
    where they are not those that follow the run before.
    """

    layer: Layer
    times: Number
    copies: Number | None = None
    at: tuple[int, ...] = ()

    @property
    def keyless(self) -> bool:
        """Whether its layers meet the keys of others, and have none."""
        return getattr(self.layer.mixer, "keyless", False)

    @property
    def sets(self) -> Number:
        """Sets of weights."""
        return self.times if self.copies is None else self.copies


@record
class Placed:
    """A part outside the layers and what it runs on.

    ``rows`` is ``token`` (every position), ``sequence`` (once a sequence: poolers, classifiers),
    ``text`` (every new token, where the stack has positions of its own),
    ``token / 4`` (one for each four), ``patch`` (every image patch), ``pooled`` (every image token
    left for the decoder; ``pooled x 4``: four for each), ``frame`` (every mel frame, two for each
    position), ``window 0`` and so on (what a window of the stack leaves), ``token and one`` (one
    position more in a sequence), ``convolved`` (those of a short causal convolution, in a layer),
    ``once`` (for all sequences, in a layer),
    ``none`` (it is kept, and does no work) or ``aside`` (it works on no token of a step: what
    speaks). It runs ``times`` on each.
    """

    part: Part
    rows: str = "token"
    times: Number = 1


@record
class Stack:
    """One tower: its front, its layers, its tail. ``role`` decides which tokens run through it.

    ``decoder`` runs on the new tokens, ``encoder`` on the source, ``image`` on patches; no step
    runs ``video``; ``mtp`` runs on the new tokens too, and predicts further ahead: all of it is one
    group. A ``decoder`` that is not ``causal`` is an encoder-only model. ``positions`` is
    given where the model fixes it (Whisper's source, image patches with their class token),
    ``patches`` is the number of image patches, ``pooled`` what is left of them for the decoder. An
    image of some size is ``tiles`` of them by the rule of ``grid``, ``tokens`` of a prompt (None:
    ``pooled``), and ``near`` pairs of patches that share a window. Where the new tokens are
    samples of sound, ``windows`` are the taps and steps of the convolutions that shorten them; or
    of the pooling of a text (Funnel). An ``encoder`` behind ``windows`` is told what they
    leave. A ``decoder`` with ``windows`` or ``positions`` of its own
    (Perceiver) attends, across, to those of the stack before it, or to the text.
    An ``image`` stack after the first works on the same tiles, and its cross attention meets the
    positions of the first; it has as many ``positions`` (a resampler's learned queries), or one for
    each ``shared`` patches of the first. An ``audio`` stack after the first runs on each ``window``
    of so many positions of it.
    """

    role: str
    hidden: Number
    runs: tuple[Run, ...]
    front: tuple[Placed, ...] = ()
    tail: tuple[Placed, ...] = ()
    causal: bool = True
    positions: Number | None = None
    patches: Number = 0
    pooled: Number = 0
    tiles: Number = 1
    tokens: Number | None = None
    near: Number | None = None
    grid: Grid | None = None
    windows: tuple[tuple[int, int], ...] = ()
    shared: int | None = None
    window: int | None = None

    def lengths(self, samples: Number) -> list[Number]:
        """Positions after each window: as many as fit, none padded, and one at least."""
        left = []
        for taps, step in self.windows:
            samples = maximum((samples - taps) // step, 0) + 1
            left.append(samples)
        return left

    def after(self, eyes: Stack) -> Stack:
        """This stack behind the first one that sees, on an image of its size."""
        here: Stack = replace(self, tiles=eyes.tiles, pooled=eyes.pooled)
        if self.shared is None:
            return here
        left = eyes.patches // self.shared
        near = None if eyes.near is None else eyes.near // self.shared**2
        return replace(here, positions=left, patches=left, near=near)

    def needed(self, positions: Number) -> list[Number]:
        """Samples, and positions after each window, of the shortest clip that leaves so many."""
        needed = [positions]
        for taps, step in reversed(self.windows):
            needed.insert(0, (needed[0] - 1) * step + taps)
        return needed

    @property
    def keyless(self) -> tuple[Run, ...]:
        """Runs without keys of their own behind all layers that have some: of what they make of a
        prompt only the last token is read, where keys of a later layer are made of all."""
        runs = {each: [run for run in self.runs if run.keyless is each] for each in (True, False)}
        last = max((max(run.at, default=inf) for run in runs[False]), default=inf)
        return tuple(run for run in runs[True] if min(run.at, default=-1) > last)

    @property
    def shortest(self) -> Number:
        """Samples that leave one position behind all windows; an encoder is told its positions."""
        return 0 if self.role == "encoder" else self.needed(1)[0]

    def parts(self) -> Iterator[tuple[Number, Part]]:
        """Every part that holds parameters, with the number of sets of its weights."""
        inner = ((run.sets, part) for run in self.runs for part in run.layer.parts())
        front, tail = ([(1, placed.part) for placed in ends] for ends in (self.front, self.tail))
        for sets, part in (*front, *inner, *tail):
            yield sets, replace(part, group="mtp") if self.role == "mtp" else part


@record
class Description:
    """A whole model: stacks in the order they run, then parts that belong to none of them.

    ``needs_images``: it cannot run without (ViT, CLIP). ``contrast`` is the width in which
    CLIP compares texts with images, counted with ``contrast_group``. ``unmasks``: it chooses words
    at any position, so that each step has the logits of all.
    """

    stacks: tuple[Stack, ...]
    extras: tuple[Placed, ...] = ()
    head: Linear | None = None
    needs_images: bool = False
    contrast: Number | None = None
    contrast_group: str = "clip_logits"
    unmasks: bool = False

    @property
    def runs(self) -> tuple[Run, ...]:
        """The runs of all stacks."""
        return tuple(run for stack in self.stacks for run in stack.runs)

    @property
    def mixers(self) -> tuple[Mixer, ...]:
        """The mixers of all runs."""
        return tuple(mixer for run in self.runs for mixer in run.layer.mixers)

    def parts(self) -> Iterator[tuple[Number, Part]]:
        """Every part that holds parameters, with the number of sets of its weights."""
        for stack in self.stacks:
            yield from stack.parts()
        for placed in self.extras:
            yield 1, placed.part
        if self.head is not None:
            yield 1, self.head

    def stack(self, role: str) -> Stack | None:
        """The first stack of that role, or None."""
        return next((stack for stack in self.stacks if stack.role == role), None)


def draft_of(described: Description) -> Description | None:
    """The first module as a model of its own, which drafts for the model it belongs to."""
    module, stack = described.stack("mtp"), described.stack("decoder")
    if module is None or stack is None:
        return None
    tables = tuple(placed for placed in stack.front if isinstance(placed.part, Table))
    front = (*tables, *module.front)
    return replace(described, stacks=(replace(module, role="decoder", front=front),))


def without_ahead(described: Description) -> Description:
    """The description without its modules."""
    stacks = tuple(stack for stack in described.stacks if stack.role != "mtp")
    return replace(described, stacks=stacks)
