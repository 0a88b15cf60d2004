"""Does REINFORCE beat random search? Best of 300 candidates on planted rewards.

    python benchmarks/planted_reward.py --seeds 10
    python benchmarks/planted_reward.py --reward interaction --space zoph2017 --round-size 10

Each reward is a known function of the architecture, drawn anew for every seed; nothing is
trained. A win is a strictly higher best reward. Where the planted optimum is so easy that random
search finds it as well, nothing can win strictly: count ties in the same light.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from itertools import pairwise

import numpy as np

from brainguided.architectures import Architecture
from brainguided.controllers import Controller, RandomSearch, Reinforce
from brainguided.spaces import SearchSpace, small_space, zoph2017_space

Reward = Callable[[Architecture], float]


def _active(space: SearchSpace, actions: tuple[int, ...]) -> range:
    """Return the decisions that matter: the depth and those of the layers there are."""
    per_layer = (len(space.decisions) - 1) // space.max_depth  # without skips
    return range(1 + (actions[0] + 1) * per_layer)


def additive(space: SearchSpace, seed: int) -> Reward:
    """Plant a preference for each option of each decision; rewards add up."""
    generator = np.random.default_rng((1, seed))
    liking = [generator.normal(size=len(decision.options)) for decision in space.decisions]

    def reward(architecture: Architecture) -> float:
        actions = space.encode(architecture)
        return float(sum(liking[place][actions[place]] for place in _active(space, actions)))

    return reward


def mean_preference(space: SearchSpace, seed: int) -> Reward:
    """Plant a preference for each depth, plus the mean preference of the layers' options."""
    generator = np.random.default_rng((2, seed))
    liking = [generator.normal(size=len(decision.options)) for decision in space.decisions]

    def reward(architecture: Architecture) -> float:
        actions = space.encode(architecture)
        active = _active(space, actions)
        return float(
            liking[0][actions[0]] + np.mean([liking[place][actions[place]] for place in active])
        )

    return reward


def interaction(space: SearchSpace, seed: int) -> Reward:
    """Plant preferences for pairs of consecutive options, and weaker ones for single options."""
    generator = np.random.default_rng((3, seed))
    sizes = [len(decision.options) for decision in space.decisions]
    alone = [0.5 * generator.normal(size=size) for size in sizes]
    pairs = [generator.normal(size=pair) for pair in pairwise(sizes)]

    def reward(architecture: Architecture) -> float:
        actions = space.encode(architecture)
        active = _active(space, actions)
        total = sum(alone[place][actions[place]] for place in active)
        total += sum(pairs[p - 1][actions[p - 1], actions[p]] for p in active if p)
        return float(total)

    return reward


def hidden(space: SearchSpace, seed: int) -> Reward:
    """Plant one architecture; the reward is the share of decisions that agree with it."""
    target = np.array(space.encode(space.sample(np.random.default_rng((4, seed)))))
    return lambda architecture: float(np.mean(np.array(space.encode(architecture)) == target))


def size_and_depth(space: SearchSpace, seed: int) -> Reward:
    """Plant a best number of weights and a best depth; tall kernels are a little better."""
    generator = np.random.default_rng((5, seed))
    size, depth = generator.uniform(3.5, 5.5), generator.integers(3, space.max_depth + 1)

    def reward(architecture: Architecture) -> float:
        channels, weights, tall = {0: 3}, 0, 0
        for number, layer in enumerate(architecture.layers, 1):
            inputs = sum(channels[source] for source in layer.inputs)
            weights += inputs * layer.kernel_height * layer.kernel_width * layer.filters
            tall += layer.kernel_height - layer.kernel_width
            channels[number] = layer.filters
        miss = (np.log10(weights) - size) ** 2 + 0.05 * (architecture.depth - depth) ** 2
        return float(0.02 * tall - miss)

    return reward


def noisy(space: SearchSpace, seed: int) -> Reward:
    """Add noise of 0.7 SD to the additive reward, always the same for an architecture."""
    clean = additive(space, seed + 100)
    scale = 0.7 * np.std([clean(space.sample(number)) for number in range(200)])

    def reward(architecture: Architecture) -> float:
        noise = np.random.default_rng((seed, int(architecture.key[:12], 16))).normal()
        return float(clean(architecture) + scale * noise)

    return reward


def same_in_all_layers(space: SearchSpace, seed: int) -> Reward:
    """Plant one preference for all layers and a best depth, as accuracy may behave."""
    generator = np.random.default_rng((6, seed))
    best_depth = generator.integers(2, space.max_depth + 1)
    kinds = [decision.name.split(".")[-1] for decision in space.decisions]
    liking = {
        kind: generator.normal(size=len(decision.options))
        for kind, decision in zip(kinds, space.decisions, strict=True)
    }

    def reward(architecture: Architecture) -> float:
        actions = space.encode(architecture)
        places = [place for place in _active(space, actions) if place]
        likings = [liking[kinds[place]][actions[place]] for place in places]
        return float(np.mean(likings) - 0.1 * abs(architecture.depth - best_depth))

    return reward


REWARDS = {
    reward.__name__: reward
    for reward in (
        additive,
        mean_preference,
        interaction,
        hidden,
        size_and_depth,
        noisy,
        same_in_all_layers,
    )
}
SPACES = {"small": small_space(10), "zoph2017": zoph2017_space(10)}


def best_of(controller: Controller, reward: Reward, *, candidates: int, round_size: int) -> float:
    """Return the highest reward a controller finds."""
    best, told = -np.inf, 0
    while told < candidates:
        proposals = controller.ask(min(round_size, candidates - told))
        rewards = [reward(proposal) for proposal in proposals]
        controller.tell(proposals, rewards)
        best, told = max(best, *rewards), told + len(proposals)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=10, help="number of seeds (%(default)s)")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--candidates", type=int, default=300)
    parser.add_argument("--round-size", type=int, default=8)
    parser.add_argument("--reward", choices=REWARDS, action="append", help="default: all")
    parser.add_argument("--space", choices=SPACES, action="append", help="default: all")
    options = parser.parse_args()
    settings = {"candidates": options.candidates, "round_size": options.round_size}
    print("space     reward              wins  ties  of   s")
    for space_name in options.space or SPACES:
        space = SPACES[space_name]
        for reward_name in options.reward or REWARDS:
            start, wins, ties = time.perf_counter(), 0, 0
            for seed in range(options.first_seed, options.first_seed + options.seeds):
                reward = REWARDS[reward_name](space, seed)
                learnt = best_of(Reinforce(space, seed=seed), reward, **settings)
                drawn = best_of(RandomSearch(space, seed=seed), reward, **settings)
                wins, ties = wins + (learnt > drawn), ties + (learnt == drawn)
            took = time.perf_counter() - start
            print(
                f"{space_name:<9} {reward_name:<18} {wins:>5} {ties:>5} {options.seeds:>3} "
                f"{took:>4.0f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
