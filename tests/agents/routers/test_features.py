import numpy as np
import pandas as pd
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from stackroute.agents.routers.features import FeatureEncoder

RNG = np.random.default_rng
TOPICS = ("sort the list of numbers by {}", "what is the capital city of {}", "solve the equation for {} please")
PROMPTS = [TOPICS[k % 3].format(f"thing number {k}") for k in range(60)]


def test_numbers_are_standardised_and_missing_ones_are_the_mean() -> None:
    table = pd.DataFrame({"a": [1.0, 3.0, np.nan], "constant": [2, 2, 2]})
    encoder = FeatureEncoder().fit(table, RNG(0))
    np.testing.assert_allclose(encoder.encode(table), [[-1, 0], [1, 0], [0, 0]])
    np.testing.assert_allclose(encoder.encode(pd.DataFrame({"constant": [3], "a": [5.0]})), [[3, 1]])


def test_the_most_frequent_categories_have_columns_and_others_none() -> None:
    table = pd.DataFrame({"kind": ["x"] * 5 + ["y"] * 4 + ["z"]})
    encoder = FeatureEncoder(categories=2).fit(table, RNG(0))
    np.testing.assert_allclose(encoder.encode(pd.DataFrame({"kind": ["y", "z", "new"]})), [[0, 1], [0, 0], [0, 0]])


def test_prompts_of_a_topic_lie_together() -> None:
    table = pd.DataFrame({"prompt": PROMPTS})
    encoder = FeatureEncoder(components=5).fit(table, RNG(0))
    features = encoder.encode(table)
    assert features.shape == (60, 5)
    centres = np.stack([features[k::3].mean(axis=0) for k in range(3)])
    nearest = ((features[:, None] - centres) ** 2).sum(axis=-1).argmin(axis=1)
    assert (nearest == np.arange(60) % 3).all()
    unseen = encoder.encode(pd.DataFrame({"prompt": ["the capital city of nowhere"]}))
    assert ((unseen[:, None] - centres) ** 2).sum(axis=-1).argmin() == 1


def test_the_weights_of_terms_are_those_of_the_library() -> None:
    table = pd.DataFrame({"prompt": PROMPTS})
    encoder = FeatureEncoder(components=59).fit(table, RNG(0))
    expected = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True).fit_transform(PROMPTS).toarray()
    features = encoder.encode(table)
    # So many components keep all angles between prompts.
    np.testing.assert_allclose(features @ features.T, expected @ expected.T, atol=1e-6)


@pytest.mark.parametrize("table", [None, pd.DataFrame(index=range(3)), pd.DataFrame({"a": [np.nan] * 3})])
def test_without_anything_known_all_tasks_are_alike(table: pd.DataFrame | None) -> None:
    assert (FeatureEncoder().fit(table, RNG(0)).encode(table) == 1.0).all()


def test_one_task_and_short_texts_are_defined() -> None:
    table = pd.DataFrame({"prompt": ["write a function that sorts a list"], "id": ["a"]})
    assert np.isfinite(FeatureEncoder().fit(table, RNG(0)).encode(table)).all()


def test_a_missing_column_is_named() -> None:
    encoder = FeatureEncoder().fit(pd.DataFrame({"a": [1.0, 2.0], "kind": ["x", "y"]}), RNG(0))
    with pytest.raises(ValueError, match="features: no column kind"):
        encoder.encode(pd.DataFrame({"a": [1.0]}))
