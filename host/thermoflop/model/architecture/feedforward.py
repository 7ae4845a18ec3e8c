"""What works on each token alone: plain and gated MLPs, and mixtures of experts."""

from __future__ import annotations

from thermoflop.base.number import Number
from thermoflop.base.record import record
from thermoflop.model.architecture.parts import Linear, Norm, Part, Vector, in_groups

# Element-wise operations per element, one for each arithmetic operation or special function: relu
# takes a maximum, and relu2 squares it; silu is x / (1 + exp(-x)); gelu by its tanh form is 8 in
# ELECTRA's flops_computation.py (github.com/google-research/electra).
ACTIVATION_OPERATIONS = {"relu": 1, "relu2": 2, "silu": 4, "gelu": 8}

_NAMES = {"experts": "expert {}", "shared_experts": "shared {}"}


@record
class Mlp:
    """``inner`` neurons between ``hidden`` inputs and ``outputs`` (None: ``hidden``) outputs.

    Gated: down(act(gate x) * up x), three matrices (Shazeer 2020). Plain: two. ``copies`` of it
    exist when it is the expert of a mixture. ``extras`` are parts of one family alone: a norm runs
    before the down projection, a map on every token, vectors do no matrix work. Plain maps read
    their inputs in so many ``groups`` each.
    """

    hidden: Number
    inner: Number
    gated: bool = True
    up_bias: bool = False
    down_bias: bool = False
    activation: str = "silu"
    group: str = "mlp"
    copies: Number = 1
    extras: tuple[Part, ...] = ()
    groups: tuple[int, ...] = ()

    def linears(self) -> tuple[Linear, ...]:
        """Gate (where there is one), up and down projections."""
        group, copies = self.group, self.copies
        name = _NAMES.get(group, "{}_proj").format
        up = Linear(name("up"), group, group, self.hidden, self.inner, self.up_bias, copies)
        down = Linear(name("down"), group, group, self.inner, self.hidden, self.down_bias, copies)
        if not self.gated:
            return in_groups((up, down), self.groups)
        gate = Linear(name("gate"), group, group, self.hidden, self.inner, self.up_bias, copies)
        return (gate, up, down)

    @property
    def product(self) -> str:
        """What is element-wise here, by name: the activation, times up where it is gated."""
        return f"{self.activation}{' x up' if self.gated else ''}"

    @property
    def operations(self) -> int:
        """Element-wise operations for each of the ``inner`` neurons."""
        return ACTIVATION_OPERATIONS.get(self.activation, 8) + int(self.gated)

    def parts(self) -> tuple[Part, ...]:
        """Everything here that holds parameters."""
        return (*self.linears(), *self.extras)


@record
class Moe:
    """A mixture: ``top_k`` of ``experts`` work on each token (Shazeer 2017), ``shared`` on all.

    ``latent``: the experts work on a latent, into which the hidden state is projected and out of
    which their sum comes back (Nemotron 3), after a norm where ``latent_norm`` (Kimi K3).
    ``router_scales``: a scale of the hidden state before the router, and one of each expert's
    weight (Gemma 4). ``elsewhere``: experts that the router scores as well, of other devices, or
    that compute nothing (LongCat).
    ``groups``: in how many groups the experts lie, and among how many of them a token chooses.
    ``narrow``: the router works on so many elements, through a norm and two maps more (ZAYA).
    """

    hidden: Number
    experts: Number
    top_k: Number
    expert: Mlp
    router_bias: bool = False
    shared: Mlp | None = None
    shared_gate: bool = False
    latent: bool = False
    latent_bias: bool = False
    latent_norm: bool = False
    router_scales: bool = False
    elsewhere: Number = 0
    groups: tuple[int, int] = (1, 1)
    narrow: Number | None = None

    @property
    def scored(self) -> Number:
        """The experts that the router chooses from."""
        return self.experts + self.elsewhere

    def latents(self) -> tuple[Linear, ...]:
        """The projections into the latent of the experts and back, where there is one."""
        width, bias, role = self.expert.hidden, self.latent_bias, "latent_proj"
        if not self.latent:
            return ()
        return (
            Linear("latent_down", role, role, self.hidden, width, bias),
            Linear("latent_up", role, role, width, self.hidden, bias),
        )

    def norms(self) -> tuple[Norm, ...]:
        """The norm on the sum of the experts' latents, where there is one."""
        return (Norm("latent_norm", self.expert.hidden),) if self.latent_norm else ()

    def router(self) -> Linear:
        """The map from hidden state to one score per expert, never quantized."""
        bias, width = self.router_bias, self.hidden if self.narrow is None else self.narrow
        return Linear("router", "router", "router", width, self.scored, bias, unquantized=True)

    def before_router(self) -> tuple[Linear, ...]:
        """The maps from the hidden state to what a narrow router scores."""
        where, width = ("router", "router"), self.narrow
        if width is None:
            return ()
        return tuple(
            Linear(name, *where, inputs, width, True, unquantized=True)
            for name, inputs in (
                ("router down", self.hidden),
                ("router fc1", width),
                ("router fc2", width),
            )
        )

    def router_norms(self) -> tuple[Norm, ...]:
        """The norm on what a narrow router scores."""
        return () if self.narrow is None else (Norm("router_norm", self.narrow),)

    def gate(self) -> Linear:
        """The scalar gate on the shared expert (Qwen2-MoE)."""
        role = "shared_expert_gate"
        return Linear(role, role, role, self.hidden, 1, unquantized=True)

    def parts(self) -> tuple[Part, ...]:
        """Everything here that holds parameters."""
        shared = self.shared.parts() if self.shared else ()
        gate = (self.gate(),) if self.shared_gate else ()
        scales = self.hidden + self.scored
        vectors = (Vector("router_scales", "router", scales),) if self.router_scales else ()
        latents = (*self.latents(), *self.norms())
        before = (*self.before_router(), *self.router_norms())
        return (*before, self.router(), *vectors, *latents, *self.expert.parts(), *shared, *gate)


FeedForward = Mlp | Moe
