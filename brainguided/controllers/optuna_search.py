"""Any sampler of Optuna as a controller: TPE, the tree of Parzen estimators, and others.

With several objectives a controller looks for their Pareto front.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from brainguided.architectures import Architecture
from brainguided.controllers.contract import Controller, Proposal, check_seed
from brainguided.controllers.limits import Limits
from brainguided.journal.objectives import OBJECTIVES
from brainguided.spaces import SearchSpace
from neural_data.errors import raise_problems

if TYPE_CHECKING:
    import optuna

_STEPS = 200  # from what may not be proposed, each another decision
_MUTATIONS = 2.0  # of a child of NSGA-II, in the mean


class OptunaSearch(Controller):
    """Search by an Optuna sampler, which takes the decisions of a space one by one.

    Each decision is a categorical parameter; where only some options are legal, one named for
    those. Decisions with one legal option are not asked for. What was proposed before, or is too
    large, is changed at random until it may be proposed. For NSGA-II and NSGA-III, which cross what
    all candidates share, a decision is one parameter of all options, counted modulo the legal ones,
    and what they did not propose joins a generation. Needs the extra ``optuna``.

    Parameters
    ----------
    space : SearchSpace
    sampler : optuna.samplers.BaseSampler
        Newly made, with a seed of its own, without which no search is the same again.
    seed : int
        Of whatever the sampler does not decide.
    unique : bool
        Whether to avoid architectures proposed before; then `ask` ends where the space is used up.
    limits : Limits, optional
    objectives : tuple of str
        Names of numbers of a `Measurement` that are maximised together, as "performance"; a minus
        before those of which less is better, as "-parameters". A failed evaluation counts as the
        worst of each seen so far. Without any, the reward is maximised.

    Raises
    ------
    ImportError
        Optuna is not installed.
    ValueError
        Objectives are not names, all different.
    """

    def __init__(
        self,
        space: SearchSpace,
        sampler: optuna.samplers.BaseSampler,
        *,
        seed: int = 0,
        unique: bool = True,
        limits: Limits | None = None,
        objectives: tuple[str, ...] = (),
    ) -> None:
        _check_objectives(objectives)
        super().__init__(space, seed=seed, unique=unique, limits=limits)
        self._optuna = _import_optuna()
        self.objectives = tuple(objectives)
        self._worst: list[float] = []  # of each objective
        genetic = self._optuna.samplers.NSGAIISampler, self._optuna.samplers.NSGAIIISampler
        self._is_genetic = isinstance(sampler, genetic)
        self.sampler = sampler
        self._name = type(sampler).__name__
        self._told_settings: dict[str, Any] = {}
        level = self._optuna.logging.get_verbosity()
        self._optuna.logging.set_verbosity(self._optuna.logging.WARNING)
        try:
            self._study = self._optuna.create_study(
                sampler=sampler, directions=["maximize"] * max(1, len(self.objectives))
            )
        finally:
            self._optuna.logging.set_verbosity(level)

    def _propose(self, n: int) -> list[Proposal]:
        made: set[str] = set()
        found = [self._propose_new(made) for _ in range(n)]
        return [proposal for proposal in found if proposal is not None]

    def _propose_new(self, made: set[str]) -> Proposal | None:
        """Return what the sampler proposes, or where that was made before, what is near it."""
        proposal = self._suggest()
        if self._admit_to(made, architecture := proposal.architecture):
            return proposal
        self._reject(proposal)
        for _ in range(_STEPS):
            architecture = self.space.mutate(architecture, self._generator)
            if self._admit_to(made, architecture):
                return Proposal(architecture)
        return None

    def _admit_to(self, made: set[str], architecture: Architecture) -> bool:
        network = architecture.canonical_key[:20]
        new = not self.unique or (network not in self._seen and network not in made)
        made.add(network)
        return new and (self.limits is None or self.limits.admit(architecture))

    def _suggest(self) -> Proposal:
        """Return what the sampler proposes."""
        trial = self._study.ask()
        actions: list[int] = []
        while len(actions) < len(self.space.decisions):
            name, choices, options = self._offer(actions)
            asked = self._is_genetic or len(choices) > 1
            taken = trial.suggest_categorical(name, choices) if asked else choices[0]
            actions.append(options[choices.index(taken) % len(options)])
        return Proposal(self.space._read(tuple(actions)), trial.number)

    def _offer(self, actions: Sequence[int]) -> tuple[str, list[int], list[int]]:
        """Return the name and choices of the next parameter, and the options they stand for."""
        name, mask = self.space.decisions[len(actions)].name, self.space.legal(actions)
        options = [option for option, allowed in enumerate(mask) if allowed]
        if self._is_genetic:
            return name, list(range(len(mask))), options
        named = name if len(options) == len(mask) else f"{name} out of {options}"
        return named, options, options

    def _learn(self, results: Sequence[tuple[Proposal, float]]) -> None:
        for told in (proposal.objectives for proposal, _ in results):
            if told is not None:
                pairs = zip(self._worst or told, told, strict=True)
                self._worst = [float(min(pair)) for pair in pairs]
        for proposal, reward in results:
            if not self.objectives:
                values = [reward]
            elif proposal.objectives is not None:
                values = [float(value) for value in proposal.objectives]
            else:
                values = self._worst
            if not values:  # all have failed so far
                self._reject(proposal)
            elif proposal.memo is None:
                self._add(proposal.architecture, values)
            else:
                self._study.tell(proposal.memo, values)

    def _reject(self, proposal: Proposal) -> None:
        if proposal.memo is not None:
            self._study.tell(proposal.memo, state=self._optuna.trial.TrialState.FAIL)

    def _add(self, architecture: Architecture, values: list[float]) -> None:
        """Tell the study of an architecture that it did not propose."""
        given, distributions = {}, {}
        make = self._optuna.trial.create_trial
        actions = self.space.encode(architecture)
        for place, action in enumerate(actions):
            name, choices, options = self._offer(actions[:place])
            if self._is_genetic or len(choices) > 1:
                given[name] = choices[options.index(action)]
                distributions[name] = self._optuna.distributions.CategoricalDistribution(choices)
        if self._is_genetic:  # breeds only from what it was asked for, which has a generation
            running = self._optuna.trial.TrialState.RUNNING
            self._study.add_trial(make(params=given, distributions=distributions, state=running))
            trial = self._study.get_trials(deepcopy=False)[-1]
            genetic: Any = self.sampler
            genetic.get_trial_generation(self._study, trial)
            self._study.tell(trial.number, values)
        else:
            self._study.add_trial(make(params=given, distributions=distributions, values=values))

    def _settings(self) -> dict[str, Any]:
        own = {"name": "optuna", "sampler": self._name, "repeats": "changed"}
        several = {"objectives": list(self.objectives)} if self.objectives else {}
        return {**own, **several, **self._told_settings}


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
    return _make_tpe(
        space, (), (startup, candidates, multivariate), seed=seed, unique=unique, limits=limits
    )


def motpe(
    space: SearchSpace,
    *,
    objectives: tuple[str, ...] = OBJECTIVES,
    seed: int = 0,
    startup: int = 10,
    candidates: int = 24,
    unique: bool = True,
    limits: Limits | None = None,
) -> OptunaSearch:
    """Return the tree of Parzen estimators for several objectives [1]_.

    Parameters
    ----------
    space : SearchSpace
        What may be chosen.
    objectives : tuple of str
        Whose Pareto front is looked for, see `OptunaSearch`; by default P, TG and fewer
        parameters.
    seed : int
        Of the draws.
    startup : int
        Candidates drawn at random first.
    candidates : int
        Draws among which each proposal takes the most promising.
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
    ValueError
        Objectives are not names, all different.

    References
    ----------
    .. [1] Ozaki, Tanigaki, Watanabe, Nomura & Onishi 2022, Multiobjective tree-structured Parzen
       estimator, Journal of Artificial Intelligence Research 73.
    """
    return _make_tpe(
        space, objectives, (startup, candidates, True), seed=seed, unique=unique, limits=limits
    )


def _make_tpe(
    space: SearchSpace,
    objectives: tuple[str, ...],
    settings: tuple[int, int, bool],
    *,
    seed: int,
    unique: bool,
    limits: Limits | None,
) -> OptunaSearch:
    check_seed(seed)
    optuna = _import_optuna()
    startup, candidates, multivariate = settings
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
    controller = OptunaSearch(
        space, sampler, seed=seed, unique=unique, limits=limits, objectives=objectives
    )
    told = {"startup": startup, "candidates": candidates, "multivariate": multivariate}
    controller._told_settings = told
    return controller


def nsga2(
    space: SearchSpace,
    *,
    objectives: tuple[str, ...] = OBJECTIVES,
    seed: int = 0,
    population: int = 20,
    crossover: float = 0.5,
    unique: bool = True,
    limits: Limits | None = None,
) -> OptunaSearch:
    """Return NSGA-II [1]_: evolution towards the Pareto front of several objectives.

    Parents are the best of a generation and the one before it, by fronts and, within one, by how
    far others are; children are crossed decision by decision, and two decisions drawn anew, in the
    mean. [1]_ has 100 parents, crosses nine in ten and redraws one decision, for more candidates.

    Parameters
    ----------
    space : SearchSpace
        What may be chosen.
    objectives : tuple of str
        Whose Pareto front is looked for, see `OptunaSearch`; by default P, TG and fewer
        parameters.
    seed : int
        Of the draws.
    population : int
        Candidates of a generation; the first is drawn at random.
    crossover : float
        Probability that a child has two parents.
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
    ValueError
        Objectives are not names, all different, or a number is out of range.

    References
    ----------
    .. [1] Deb, Pratap, Agarwal & Meyarivan 2002, A fast and elitist multiobjective genetic
       algorithm: NSGA-II, IEEE Transactions on Evolutionary Computation 6.
    """
    check_seed(seed)
    problems = []
    if type(population) is not int or population < 2:
        problems.append(f"population is {population!r}; expected a whole number, at least 2")
    if isinstance(crossover, bool) or not 0 <= crossover <= 1:
        problems.append(f"crossover is {crossover!r}; expected a probability, 0 to 1")
    raise_problems("NSGA-II cannot begin", problems, ValueError)
    optuna = _import_optuna()
    sampler = optuna.samplers.NSGAIISampler(
        population_size=population, crossover_prob=crossover, seed=seed % 2**32,
        mutation_prob=min(1.0, _MUTATIONS / len(space.decisions)),
    )  # fmt: skip
    controller = OptunaSearch(
        space, sampler, seed=seed, unique=unique, limits=limits, objectives=objectives
    )
    told = {"population": population, "crossover": float(crossover), "mutations": _MUTATIONS}
    controller._told_settings = told
    return controller


def _check_objectives(objectives: tuple[str, ...]) -> None:
    problems = []
    if isinstance(objectives, str) or not all(
        isinstance(name, str) and name.strip("-") for name in objectives
    ):
        problems.append(f"{objectives!r}: expected names of numbers, e.g. {OBJECTIVES}")
    elif len({name.removeprefix("-") for name in objectives}) < len(objectives):
        problems.append(f"{', '.join(objectives)}: expected different numbers")
    raise_problems("These are no objectives", problems, ValueError)


def _import_optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise ImportError(
            "TPE, NSGA-II and other samplers of Optuna need it: pip install 'brainguided[optuna]'."
        ) from error
    return optuna
