"""Marks for programs that have hooks of their own.

    from thermoflop.hooks import trainer_callback
    trainer = Trainer(..., callbacks=[trainer_callback()])

Nothing heavy is imported here; ``transformers`` is, when the callback is made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from thermoflop.errors import MissingExtra
from thermoflop.marks import mark, note

if TYPE_CHECKING:
    from transformers import TrainerCallback


def trainer_callback() -> TrainerCallback:
    """A callback for ``transformers.Trainer`` that marks training and evaluation.

    Under ``thermoflop record`` the phase ``train`` has a note for each step (``steps``), and what
    the trainer logs (``loss``, ``grad_norm``, ``learning_rate``); ``evaluate`` is a phase of its
    own. Outside of a recording it does nothing.

    Returns:
        The callback, for ``Trainer(callbacks=[...])``.

    Raises:
        MissingExtra: where transformers is not installed.
    """
    try:
        from transformers import TrainerCallback
    except ImportError as error:
        raise MissingExtra(
            "trainer_callback needs transformers: pip install transformers"
        ) from error

    class Marks(TrainerCallback):  # type: ignore[misc, unused-ignore]
        def on_train_begin(self, *_: Any, **__: Any) -> None:
            mark("train")

        def on_step_end(self, *_: Any, **__: Any) -> None:
            note(steps=1)

        def on_log(self, *_: Any, logs: dict[str, Any] | None = None, **__: Any) -> None:
            told = {key: (logs or {}).get(key) for key in ("loss", "grad_norm", "learning_rate")}
            note(**{k: number for k, number in told.items() if isinstance(number, int | float)})

        def on_prediction_step(self, *_: Any, **__: Any) -> None:
            if not self._evaluates:
                self._evaluates = True
                mark("evaluate")

        def on_evaluate(self, *_: Any, **__: Any) -> None:
            self._evaluates = False
            mark("train")

        def on_train_end(self, *_: Any, **__: Any) -> None:
            mark(None)

        _evaluates = False

    return Marks()
