import itertools

import numpy as np
import pytest

from seedbed.stats.kmeans import kmeans, nearest


@pytest.fixture
def blobs():
    rng = np.random.default_rng(8)
    middle = rng.normal(size=(5, 6)) * 20
    return middle[np.repeat(np.arange(5), 40)] + rng.normal(size=(200, 6))


def inertia(points, labels):
    return sum(np.sum((points[labels == k] - points[labels == k].mean(axis=0)) ** 2) for k in np.unique(labels))


def test_the_best_of_seeds_is_the_best_partition_of_all():
    points = np.random.default_rng(1).normal(size=(9, 2))
    every = (np.array(labels) for labels in itertools.product(range(3), repeat=9))
    best = min(inertia(points, labels) for labels in every if len(set(labels)) == 3)
    found = [kmeans(points, 3, seed=seed) for seed in range(20)]
    assert min(result.inertia for result in found) == pytest.approx(best)
    for result in found:
        assert result.inertia == pytest.approx(inertia(points, result.label_N))
        assert np.array_equal(nearest(points, result.centre_KD)[0], result.label_N)


def test_equals_scikit_learn_from_the_same_start(blobs):
    cluster = pytest.importorskip("sklearn.cluster")
    found = kmeans(blobs, 5, seed=0)
    again = cluster.KMeans(5, init=found.centre_KD, n_init=1).fit(blobs)
    assert found.inertia == pytest.approx(again.inertia_)
    assert np.array_equal(found.label_N, again.labels_)


def test_separate_groups_are_found_and_the_result_repeats(blobs):
    found = kmeans(blobs, 5, seed=3)
    assert sorted(len(set(part)) for part in found.label_N.reshape(5, 40)) == [1] * 5
    assert len(set(found.label_N)) == 5
    assert np.array_equal(found.centre_KD, kmeans(blobs, 5, seed=3).centre_KD)


def test_no_iteration_raises_the_inertia():
    points = np.random.default_rng(2).normal(size=(300, 4))
    steps = [kmeans(points, 12, seed=0, max_iterations=n).inertia for n in range(1, 15)]
    assert all(after <= before + 1e-9 for before, after in itertools.pairwise(steps))
    assert steps[-1] < steps[0]


def test_seeds_are_drawn_by_squared_distance():
    # from the first point, the far one is 100 times as likely as the near one
    points = np.array([[0.0], [1.0], [10.0]])
    second = [kmeans(points, 2, seed=s, max_iterations=0).centre_KD[:, 0].tolist() for s in range(3000)]
    from_zero = [after for first, after in second if first == 0]
    assert np.mean([after == 10 for after in from_zero]) == pytest.approx(100 / 101, abs=0.01)
    from_far = [after for first, after in second if first == 10]
    assert np.mean([after == 0 for after in from_far]) == pytest.approx(100 / 181, abs=0.05)


def test_fewer_points_than_clusters_and_points_that_are_equal():
    assert len(kmeans(np.array([[0.0], [1.0], [1.0]]), 5, seed=0).centre_KD) == 2
    assert kmeans(np.zeros((4, 2)), 3, seed=0).label_N.tolist() == [0, 0, 0, 0]
    for points, k in ((np.zeros((0, 2)), 1), (np.zeros((3, 2)), 0), (np.array([[np.inf]]), 1)):
        with pytest.raises(ValueError, match="clusters of"):
            kmeans(points, k, seed=0)


def test_a_point_is_blind_to_its_neighbours(blobs):
    centres = kmeans(blobs, 5, seed=0).centre_KD + 0.37
    many = np.tile(blobs, (25, 1))
    labels, distances = nearest(many, centres)
    alone = [nearest(blobs[[i]], centres) for i in range(200)]
    assert labels.tolist() == [int(a[0][0]) for a in alone] * 25
    assert distances.tolist() == [float(a[1][0]) for a in alone] * 25
