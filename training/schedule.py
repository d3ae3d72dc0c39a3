"""How fast a run learns at each step, and when it ends early: linear fall, or the original's cuts at a plateau."""

from dataclasses import asdict, dataclass

from training.recipe import Recipe


@dataclass
class Standing:
    """What validation has said so far.

    Attributes:
        best: highest score.
        since_best: validations since then.
        since_cut: validations without a better score since the rate was last cut.
        cuts: how often it was.
    """

    best: float = -1.0
    since_best: int = 0
    since_cut: int = 0
    cuts: int = 0

    def plain(self) -> dict[str, float]:
        """For a checkpoint."""
        return asdict(self)


class Schedule:
    """The learning rate of a run, as a share of its highest, and its end.

    Args:
        recipe: warm-up, and the plateau's numbers if it has any.
        standing: where the run is; changed by `validated`.
    """

    def __init__(self, recipe: Recipe, standing: Standing) -> None:
        self._warmup = recipe.warmup_steps
        self._plateau = recipe.plateau
        self.standing = standing

    def share(self, step: int, total: int) -> float:
        """Share of the highest rate at a step of `total`: a linear rise, then the fall of the recipe."""
        rise = min((step + 1) / max(self._warmup, 1), 1.0)
        if self._plateau is not None:
            return float(rise * self._plateau.factor**self.standing.cuts)
        return min(rise, max(total - step, 0) / max(total - self._warmup, 1))

    def validated(self, score: float) -> bool:
        """Take in the score of a validation; True when it is the best so far."""
        now = self.standing
        if score > now.best:
            now.best, now.since_best, now.since_cut = score, 0, 0
            return True
        now.since_best += 1
        now.since_cut += 1
        if self._plateau and now.since_cut >= self._plateau.patience and now.cuts < self._plateau.cuts:
            now.cuts += 1
            now.since_cut = 0
        return False

    @property
    def ended(self) -> bool:
        """Whether the run has stood still for so long that it ends."""
        return self._plateau is not None and self.standing.since_best >= self._plateau.stop_after
