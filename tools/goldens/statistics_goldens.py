#!/usr/bin/env python3
"""Writes tests/golden/statistics/*.json: values of SciPy and NumPy that results/statistics is checked against.

usage: statistics_goldens.py [--output DIR]

Each file is a list of cases: inputs beside the value. What SciPy does not have (strata, clusters, the Bonett-Price
interval) is computed here from the formula with NumPy, not with fathom's code.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from scipy import special, stats

DEFAULT_OUTPUT = Path(__file__).resolve().parents[2] / "tests" / "golden" / "statistics"
Cases = list[dict[str, Any]]


def distributions() -> Cases:
    cases: Cases = []
    for z in (-30.0, -8.5, -3.0, -1.959963984540054, -0.1, 0.0, 0.5, 2.5, 6.0):
        cases.append({"function": "normal_cdf", "args": [z], "value": stats.norm.cdf(z)})
    for p in (1e-12, 0.0005, 0.025, 0.2, 0.5, 0.8, 0.975, 0.9999):
        cases.append({"function": "normal_quantile", "args": [p], "value": stats.norm.ppf(p)})
    for df in (1.0, 2.0, 4.0, 12.5, 56.0, 999.0, 14041.0):
        for t in (-40.0, -3.0, -0.7, 0.0, 1.0, 2.5):
            cases.append({"function": "student_cdf", "args": [t, df], "value": stats.t.cdf(t, df)})
        for p in (1e-6, 0.025, 0.3, 0.5, 0.975, 0.999):
            cases.append({"function": "student_quantile", "args": [p, df], "value": stats.t.ppf(p, df)})
    for a, b, x in ((0.5, 0.5, 0.3), (2.0, 3.0, 0.5), (30.0, 0.5, 0.99), (5000.0, 9000.0, 0.36), (1.0, 1.0, 0.2)):
        cases.append({"function": "incomplete_beta", "args": [a, b, x], "value": special.betainc(a, b, x)})
    for k, n, p in ((0, 1, 0.5), (4, 16, 0.5), (12, 16, 0.5), (160, 164, 0.9), (700, 1500, 0.5), (3, 30, 0.1)):
        cases.append({"function": "binomial_pmf", "args": [k, n, p], "value": stats.binom.pmf(k, n, p)})
        cases.append({"function": "binomial_cdf", "args": [k, n, p], "value": stats.binom.cdf(k, n, p)})
    return cases


def proportions() -> Cases:
    cases: Cases = []
    for k, n in ((0, 1), (1, 1), (0, 20), (20, 20), (160, 164), (7, 10), (8187, 14042), (1, 1319)):
        interval = stats.binomtest(k, n).proportion_ci(0.95, method="wilson")
        sample = np.repeat([1.0, 0.0], [k, n - k])
        se = sample.std(ddof=1) / math.sqrt(n) if n > 1 else None
        cases.append({"passed": k, "n": n, "low": interval.low, "high": interval.high, "sample_se": se})
    return cases


def clustered_se(values: np.ndarray, clusters: list[str]) -> float:
    deviation = values - values.mean()
    names = sorted(set(clusters))
    sums = [sum(d for d, c in zip(deviation, clusters, strict=True) if c == name) for name in names]
    c = len(names)
    return math.sqrt(c / (c - 1) * sum(s * s for s in sums)) / len(values)


def means(rng: np.random.Generator) -> Cases:
    cases: Cases = []
    for n in (2, 5, 40):
        values = rng.normal(3.0, 2.0, n)
        interval = stats.t.interval(0.95, n - 1, values.mean(), stats.sem(values))
        cases.append({"kind": "real", "values": values.tolist(), "value": values.mean(), "se": stats.sem(values),
                      "low": interval[0], "high": interval[1]})
    clusters = ["a"] * 4 + ["b"] * 1 + ["c"] * 7 + ["d"] * 3
    values = rng.normal(0.0, 1.0, len(clusters)) + np.repeat(rng.normal(0.0, 1.0, 4), [4, 1, 7, 3])
    se = clustered_se(values, clusters)
    interval = stats.t.interval(0.95, 3, values.mean(), se)
    cases.append({"kind": "clustered", "values": values.tolist(), "clusters": clusters, "value": values.mean(),
                  "se": se, "low": interval[0], "high": interval[1]})
    return cases


def strata(rng: np.random.Generator) -> Cases:
    cases: Cases = []
    for sizes in ((100, 150, 12), (5, 5, 5, 5), (2, 300)):
        groups = [rng.binomial(1, rng.uniform(0.3, 0.8), size).astype(float) for size in sizes]
        n = sum(sizes)
        ses = [g.std(ddof=1) / math.sqrt(len(g)) for g in groups]
        pooled = sum((len(g) - 1) * len(g) * se**2 for g, se in zip(groups, ses, strict=True)) / (n - len(groups))
        cases.append({
            "strata": [g.tolist() for g in groups],
            "micro": float(np.concatenate(groups).mean()),
            "micro_se": math.sqrt(sum((len(g) / n * se) ** 2 for g, se in zip(groups, ses, strict=True))),
            "macro": float(np.mean([g.mean() for g in groups])),
            "macro_se": math.sqrt(sum(se**2 for se in ses)) / len(groups),
            "lmeval_pooled_se": math.sqrt(pooled / n),
        })
    return cases


def mid_p(lost: int, won: int) -> float:
    n = lost + won
    if n == 0 or lost == won:
        return 1.0
    least = min(lost, won)
    return 2 * stats.binom.cdf(least, n, 0.5) - stats.binom.pmf(least, n, 0.5)


def bonett_price(differences: np.ndarray) -> tuple[float, float]:
    extended = np.concatenate([differences, [-1.0, 1.0]])
    half = stats.norm.ppf(0.975) * extended.std(ddof=0) / math.sqrt(len(extended))
    return extended.mean() - half, extended.mean() + half


def flips() -> Cases:
    cases: Cases = []
    for n, lost, won in ((200, 12, 4), (200, 4, 12), (100, 0, 0), (1319, 60, 61), (14042, 700, 640), (50, 9, 0)):
        differences = np.repeat([-1.0, 1.0, 0.0], [lost, won, n - lost - won])
        low, high = bonett_price(differences)
        exact = stats.binomtest(min(lost, won), lost + won, 0.5).pvalue if lost + won else 1.0
        worse = stats.binomtest(lost, lost + won, 0.5, alternative="greater").pvalue if lost + won else 1.0
        cases.append({"n": n, "lost": lost, "won": won, "exact": exact, "mid_p": mid_p(lost, won), "worse": worse,
                      "difference": float(differences.mean()), "se": float(differences.std(ddof=1) / math.sqrt(n)),
                      "low": low, "high": high})
    return cases


def paired(rng: np.random.Generator) -> Cases:
    cases: Cases = []
    for n in (3, 30, 200):
        differences = rng.standard_t(3, n) * 0.2 + 0.05
        cases.append({"differences": differences.tolist(),
                      "p": stats.ttest_1samp(differences, 0.0).pvalue})
    return cases


def multiple_testing(rng: np.random.Generator) -> Cases:
    cases: Cases = []
    for p_values in (rng.uniform(0, 1, 57), np.array([0.01, 0.01, 0.04, 0.9]), np.array([0.3])):
        cases.append({"p": p_values.tolist(), "q": stats.false_discovery_control(p_values, method="bh").tolist()})
    return cases


def bonett_price_of_range(differences: np.ndarray, width: float, level: float) -> tuple[float, float]:
    extended = np.concatenate([differences, [-width, width]])
    half = stats.norm.ppf(0.5 + level / 2) * extended.std(ddof=0) / math.sqrt(len(extended))
    return max(-width, extended.mean() - half), min(width, extended.mean() + half)


def difference_intervals(rng: np.random.Generator) -> Cases:
    """Intervals of a mean difference at several levels: Bonett-Price, Student's t, clustered."""
    cases: Cases = []
    for level in (0.9, 0.95, 0.975, 0.998):
        needle = rng.choice([-9.0, -3.0, 0.0, 0.0, 0.0, 4.5], 60)
        low, high = bonett_price_of_range(needle, 9.0, level)
        cases.append({"kind": "bounded", "level": level, "differences": needle.tolist(), "width": 9.0,
                      "se": stats.sem(needle), "low": low, "high": high})
        logprobs = rng.standard_t(4, 25) * 0.3 - 0.1
        interval = stats.t.interval(level, 24, logprobs.mean(), stats.sem(logprobs))
        cases.append({"kind": "real", "level": level, "differences": logprobs.tolist(), "se": stats.sem(logprobs),
                      "low": interval[0], "high": interval[1]})
        clusters = ["a"] * 3 + ["b"] * 6 + ["c"] * 1 + ["d"] * 5 + ["e"] * 2
        shared = rng.normal(0.0, 0.5, 17) + np.repeat(rng.normal(0.0, 1.0, 5), [3, 6, 1, 5, 2])
        se = clustered_se(shared, clusters)
        interval = stats.t.interval(level, 4, shared.mean(), se)
        cases.append({"kind": "clustered", "level": level, "differences": shared.tolist(), "clusters": clusters,
                      "se": se, "low": interval[0], "high": interval[1]})
    return cases


def group_intervals(rng: np.random.Generator) -> Cases:
    """Intervals of micro and macro means: Student's t, Satterthwaite's degrees of freedom; clusters in a stratum."""
    cases: Cases = []
    for sizes in ((4, 9, 30), (12, 12, 12, 12)):
        values = [rng.normal(k, 1.0 + k, size) for k, size in enumerate(sizes)]
        clusters = [f"p{i // 3}" for i in range(sizes[-1])]
        squares = [stats.sem(v) ** 2 for v in values[:-1]] + [clustered_se(values[-1], clusters) ** 2]
        dfs = [len(v) - 1 for v in values[:-1]] + [len(set(clusters)) - 1]
        kinds = {"micro": [size / sum(sizes) for size in sizes], "macro": [1 / len(sizes)] * len(sizes)}
        for name, weights in kinds.items():
            shares = [w * w * s for w, s in zip(weights, squares, strict=True)]
            df = sum(shares) ** 2 / sum(s * s / d for s, d in zip(shares, dfs, strict=True))
            mean = sum(w * v.mean() for w, v in zip(weights, values, strict=True))
            interval = stats.t.interval(0.95, df, mean, math.sqrt(sum(shares)))
            cases.append({"estimator": name, "strata": [v.tolist() for v in values], "clusters": clusters,
                          "value": float(mean), "se": math.sqrt(sum(shares)), "low": interval[0], "high": interval[1]})
    return cases


def power() -> Cases:
    critical = stats.norm.ppf(0.975) + stats.norm.ppf(0.8)
    return [{"se": se, "mde": critical * se, "effect": effect, "variance": variance,
             "items": math.ceil(critical**2 * variance / effect**2)}
            for se, effect, variance in ((0.0026, 0.01, 0.1), (0.01, 0.005, 0.1), (0.2, 0.02, 0.35))]


def bootstraps(rng: np.random.Generator) -> Cases:
    """Percentile intervals of SciPy; another generator draws, so they agree within the noise of 10,000 draws."""
    cases: Cases = []
    for values in (rng.standard_t(4, 80) * 0.3, rng.exponential(1.0, 40)):
        result = stats.bootstrap((values,), np.mean, n_resamples=100_000, method="percentile", rng=rng)
        cases.append({"values": values.tolist(), "se": result.standard_error, "low": result.confidence_interval.low,
                      "high": result.confidence_interval.high})
    return cases


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=DEFAULT_OUTPUT)
    output = parser.parse_args().output
    output.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(20260101)
    files = {
        "distributions": distributions(),
        "proportions": proportions(),
        "means": means(rng),
        "strata": strata(rng),
        "flips": flips(),
        "paired": paired(rng),
        "multiple_testing": multiple_testing(rng),
        "difference_intervals": difference_intervals(rng),
        "group_intervals": group_intervals(rng),
        "power": power(),
        "bootstraps": bootstraps(rng),
    }
    for name, cases in files.items():
        lines = ",\n".join(json.dumps(case) for case in cases)
        (output / f"{name}.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
