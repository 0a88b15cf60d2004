"""Any sampler of Optuna as a controller; above all TPE, the tree of Parzen estimators."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from brainguided.architectures import Architecture
from brainguided.controllers.contract import Controller, Proposal, check_seed
from brainguided.controllers.limits import Limits
from brainguided.spaces import SearchSpace

if TYPE_CHECKING:
    import optuna


class OptunaSearch(Controller):
    """Search by an Optuna sampler, which takes the decisions of a space one by one.

    Each decision is a categorical parameter; where only some options are legal, one named for
    those. Decisions with one legal option are not asked for. Needs the extra ``optuna``.

    Parameters
    ----------
    space : SearchSpace
    sampler : optuna.samplers.BaseSampler
        Newly made, with a seed of its own: that it is not used elsewhere and seeded is what makes
        the search repeatable.
    seed : int
        Of whatever the sampler does not decide.
    unique : bool
        Whether to avoid architectures proposed before; then `ask` ends where the space is used up.
    limits : Limits, optional

    Raises
    ------
    ImportError
        Optuna is not installed.
    """

    def __init__(
        self,
        space: SearchSpace,
        sampler: optuna.samplers.BaseSampler,
        *,
        seed: int = 0,
        unique: bool = True,
        limits: Limits | None = None,
    ) -> None:
        super().__init__(space, seed=seed, unique=unique, limits=limits)
        self._optuna = _import_optuna()
        self.sampler = sampler
        self._name = type(sampler).__name__
        self._told_settings: dict[str, Any] = {}
        level = self._optuna.logging.get_verbosity()
        self._optuna.logging.set_verbosity(self._optuna.logging.WARNING)
        try:
            self._study = self._optuna.create_study(sampler=sampler, direction="maximize")
        finally:
            self._optuna.logging.set_verbosity(level)

    def _propose(self, n: int) -> list[Proposal]:
        proposals = []
        for _ in range(n):
            trial = self._study.ask()
            actions: list[int] = []
            for decision in self.space.decisions:
                mask = self.space.legal(actions)
                options = [option for option, allowed in enumerate(mask) if allowed]
                name = _name(decision.name, options, len(mask))
                actions.append(
                    options[0] if len(options) == 1 else trial.suggest_categorical(name, options)
                )
            proposals.append(Proposal(self.space._read(tuple(actions)), trial.number))
        return proposals

    def _learn(self, results: Sequence[tuple[Proposal, float]]) -> None:
        for proposal, reward in results:
            if proposal.memo is None:
                self._add(proposal.architecture, reward)
            else:
                self._study.tell(proposal.memo, reward)

    def _reject(self, proposal: Proposal) -> None:
        if proposal.memo is not None:
            self._study.tell(proposal.memo, state=self._optuna.trial.TrialState.FAIL)

    def _add(self, architecture: Architecture, reward: float) -> None:
        """Tell the study of an architecture that it did not propose."""
        given, distributions = {}, {}
        actions = self.space.encode(architecture)
        for place, decision in enumerate(self.space.decisions):
            mask = self.space.legal(actions[:place])
            options = [option for option, allowed in enumerate(mask) if allowed]
            if len(options) > 1:
                name = _name(decision.name, options, len(mask))
                given[name] = actions[place]
                distributions[name] = self._optuna.distributions.CategoricalDistribution(options)
        self._study.add_trial(
            self._optuna.trial.create_trial(params=given, distributions=distributions, value=reward)
        )

    def _settings(self) -> dict[str, Any]:
        return {"name": "optuna", "sampler": self._name, **self._told_settings}


def tpe(
    space: SearchSpace,
    *,
    seed: int = 0,
    startup: int = 10,
    candidates: int = 24,
    multivariate: bool = True,
    unique: bool = True,
    limits: Limits | None = None,
) -> OptunaSearch:
    """Return the tree of Parzen estimators [1]_, the search algorithm of the brain-guided search.

    Parameters
    ----------
    space : SearchSpace
        What may be chosen.
    seed : int
        Of the draws.
    startup : int
        Candidates drawn at random first.
    candidates : int
        Draws among which each decision takes the most promising.
    multivariate : bool
        Whether decisions are modelled together, as TPE does today; each on its own, as in [1]_,
        takes longer the more there are.
    unique : bool
        Whether to avoid architectures proposed before; then `ask` ends where the space is used up.
    limits : Limits, optional
        Sizes that no proposal exceeds.

    Returns
    -------
    OptunaSearch
        That has proposed nothing yet.

    Raises
    ------
    ImportError
        Optuna is not installed.

    References
    ----------
    .. [1] Bergstra, Bardenet, Bengio & Kegl 2011, Algorithms for hyper-parameter optimization,
       section 4.
    """
    check_seed(seed)
    optuna = _import_optuna()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.TPESampler(
            seed=seed % 2**32,
            n_startup_trials=startup,
            n_ei_candidates=candidates,
            multivariate=multivariate,
            group=multivariate and type(space).legal is not SearchSpace.legal,
            constant_liar=True,  # open proposals repel those of the same round
        )
    controller = OptunaSearch(space, sampler, seed=seed, unique=unique, limits=limits)
    controller._told_settings = {
        "startup": startup,
        "candidates": candidates,
        "multivariate": multivariate,
    }
    return controller


def _name(decision: str, options: list[int], n: int) -> str:
    return decision if len(options) == n else f"{decision} out of {options}"


def _import_optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise ImportError(
            "TPE and other samplers of Optuna need it: pip install 'brainguided[optuna]'."
        ) from error
    return optuna
