"""What is known of tasks as numbers that routers take: columns of numbers, of categories and of texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

    import numpy.typing as npt

    from stackroute.analytic.game import FloatArray

_LEAST_LENGTH = 20
"""Mean characters from which on a column of texts that mostly differ is one of prompts."""


@dataclass
class FeatureEncoder:
    """Columns of a table as features: nothing is downloaded.

    Numbers are standardised, missing ones are the mean. Categories have a column each, of 0 and 1. Prompts, which
    mostly differ and are long, become their components of latent semantic analysis: TF-IDF and a truncated singular
    value decomposition.

    Args:
        categories: Of a column that have a column of their own, the most frequent ones.
        components: Of prompts, for each column.
        words: The most terms, of one or two words.

    Examples:
        >>> table = pd.DataFrame({"size": [1.0, 3.0], "kind": ["code", "chat"]})
        >>> FeatureEncoder().fit(table, np.random.default_rng(0)).encode(table)
        array([[-1.,  0.,  1.],
               [ 1.,  1.,  0.]])
    """

    categories: int = 30
    components: int = 32
    words: int = 20_000

    def fit(self, table: pd.DataFrame | None, rng: np.random.Generator) -> Self:
        """Learn means, categories and terms.

        Args:
            table: A row for each task; None or no columns: every task has the same single feature.
            rng: Random numbers.
        """
        known = pd.DataFrame() if table is None else table
        numeric = known.select_dtypes("number").dropna(axis="columns", how="all")
        self.numeric_ = np.array(numeric.columns, dtype=np.str_)
        self.mean_ = numeric.mean().to_numpy(dtype=np.float64)
        spread = numeric.std(ddof=0).to_numpy(dtype=np.float64)
        self.scale_ = np.where(spread > 0.0, spread, 1.0)
        texts = known.select_dtypes(exclude="number").astype(str)
        prompts = [name for name in texts if _is_prompt(texts[name])]
        named = [
            (name, category)
            for name in texts
            if name not in prompts
            for category in sorted(texts[name].value_counts().index[: self.categories])
        ]
        self.categories_ = np.array(named, dtype=np.str_).reshape(-1, 2)
        self.prompts_ = np.array(prompts, dtype=np.str_)
        terms: list[tuple[str, str]] = []
        weights, directions = [np.zeros(0)], [np.zeros((0, self.components))]
        for name in prompts:
            frequencies = TfidfVectorizer(ngram_range=(1, 2), max_features=self.words, sublinear_tf=True)
            matrix = frequencies.fit_transform(texts[name])
            seed = int(rng.integers(2**31))
            count = max(min(self.components, min(matrix.shape) - 1), 1)
            # Of a single text no variance can be explained.
            with np.errstate(invalid="ignore"):
                found = TruncatedSVD(count, random_state=seed).fit(matrix)
            terms += [(name, term) for term in frequencies.get_feature_names_out()]
            weights.append(frequencies.idf_)
            directions.append(np.zeros((matrix.shape[1], self.components)))
            directions[-1][:, : len(found.components_)] = found.components_.T
        self.terms_ = np.array(terms, dtype=np.str_).reshape(-1, 2)
        self.term_weight_, self.directions_ = np.concatenate(weights), np.concatenate(directions)
        return self

    def encode(self, table: pd.DataFrame | None) -> FloatArray:
        """The features of tasks, shape (N, F).

        Raises:
            ValueError: A column is missing that the encoder was fitted on.
        """
        known = pd.DataFrame(index=range(1)) if table is None else table
        missing = [name for name in self.columns if name not in known]
        if missing:
            raise ValueError(f"features: no column {', '.join(missing)}; the router was fitted with it")
        return np.concatenate(list(self._blocks(known)), axis=1)

    @property
    def columns(self) -> list[str]:
        """The columns that a table needs."""
        names = [*self.numeric_, *self.categories_[:, 0], *self.prompts_]
        return list(dict.fromkeys(map(str, names)))

    def unknown(self, table: pd.DataFrame) -> pd.DataFrame:
        """Which tasks have a category that has no column of its own, by column of categories, shape (N, K)."""
        names = dict.fromkeys(self.categories_[:, 0].tolist())
        kept = {name: self.categories_[self.categories_[:, 0] == name, 1] for name in names}
        return pd.DataFrame({name: ~table[name].astype(str).isin(kept[name]) for name in names}, index=table.index)

    def _blocks(self, known: pd.DataFrame) -> Iterator[FloatArray]:
        if not self.columns:
            yield np.ones((len(known), 1))
            return
        numbers = known[list(self.numeric_)].apply(pd.to_numeric, errors="coerce").to_numpy(dtype=np.float64)
        yield np.where(np.isfinite(numbers), (numbers - self.mean_) / self.scale_, 0.0)
        for name, category in self.categories_:
            yield (known[[name]].astype(str) == category).to_numpy(dtype=np.float64)
        for name in self.prompts_:
            mine = self.terms_[:, 0] == name
            yield (
                _components(known[name].astype(str), self.terms_[mine, 1], self.term_weight_[mine])
                @ self.directions_[mine]
            )


def _is_prompt(column: pd.Series) -> bool:
    return bool(column.nunique() > len(column) / 2 and column.str.len().mean() >= _LEAST_LENGTH)


def _components(texts: pd.Series, terms: npt.NDArray[np.str_], weight: FloatArray) -> FloatArray:
    """The TF-IDF of texts for known terms, shape (N, terms)."""
    frequencies = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, vocabulary=list(terms))
    frequencies.idf_ = weight
    found: FloatArray = frequencies.transform(texts).toarray()
    return found
