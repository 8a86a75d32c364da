"""Losses against closed forms, identities and scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats

from microspot.engines.errors import UsageError
from microspot.engines.training import losses

HARD = 1e-7  # a kappa at which sigmoids are steps for values that differ


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# ---- MESNet


@pytest.mark.parametrize(
    ("positives", "negatives", "beta_max", "beta"),
    [
        (4, 12, 20, 3.0),  # the ratio itself
        (1, 63, 20, 20.0),  # held at beta_max
        (12, 4, 20, 1.0),  # never below 1
        (0, 16, 20, 1.0),  # no positive: plain cross-entropy
    ],
)
def test_cpn_loss_balances_positives(
    positives: int, negatives: int, beta_max: float, beta: float
) -> None:
    labels = torch.tensor([1.0] * positives + [0.0] * negatives).view(1, 1, -1)
    logits = torch.randn(labels.shape, generator=generator())
    p = logits.sigmoid()
    y = labels
    expected = -(beta * y * p.log() + (1 - y) * (1 - p).log()).mean()
    torch.testing.assert_close(
        losses.cpn_loss(logits, labels, torch.ones_like(y).bool(), beta_max), expected
    )


def test_cpn_loss_ignores_unused_windows() -> None:
    logits = torch.zeros(2, 5, 8)
    labels = torch.zeros(2, 5, 8)
    labels[0, 0, :3] = 1
    used = torch.zeros(2, 5, 8, dtype=torch.bool)
    used[0, 0] = True  # 3 positives, 5 negatives, beta 5/3
    expected = math.log(2) * (3 * 5 / 3 + 5) / 8
    assert losses.cpn_loss(logits, labels, used, 4.0).item() == pytest.approx(expected)
    logits[1] = 100  # unused, so of no influence
    assert losses.cpn_loss(logits, labels, used, 4.0).item() == pytest.approx(expected)


def test_losses_of_nothing_are_zero_with_a_gradient() -> None:
    logits = torch.ones(1, 2, 3, requires_grad=True)
    losses.cpn_loss(
        logits, torch.zeros(1, 2, 3), torch.zeros(1, 2, 3, dtype=torch.bool), 4.0
    ).backward()
    assert logits.grad is not None
    assert not logits.grad.any()
    empty = torch.zeros(0, 2, requires_grad=True)
    assert losses.crn_loss(empty, empty, torch.zeros(0), torch.zeros(0, 2), 0.32, 1.0).item() == 0


def test_crn_loss_regresses_mes_only() -> None:
    labels = torch.tensor([1, 0])
    logits = torch.zeros(2, 2)
    targets = torch.tensor([[0.16, -0.64], [torch.nan, torch.nan]])  # half a scale; two scales
    offsets = torch.zeros(2, 2, requires_grad=True)
    loss = losses.crn_loss(logits, offsets, labels, targets, scale=0.32, weight=2.0)
    assert loss.item() == pytest.approx(math.log(2) + 2.0 * (0.5 * 0.25 + 1.5) / 2)
    loss.backward()
    assert offsets.grad is not None
    assert torch.isfinite(offsets.grad).all()
    assert not offsets.grad[1].any()
    assert offsets.grad[0].all()


def test_column_one_is_the_micro_expression() -> None:
    sure = torch.tensor([[-20.0, 20.0]])
    assert losses.pretrain_loss(sure, torch.tensor([1])).item() < 1e-6
    assert losses.pretrain_loss(sure, torch.tensor([0])).item() == pytest.approx(40)
    still = torch.zeros(1, 2)
    assert losses.crn_loss(sure, still, torch.tensor([1]), still, 0.32, 1.0).item() < 1e-6


def test_l2_takes_kernels_but_the_excluded_and_the_frozen() -> None:
    """Neither biases nor the gains of norms."""
    network = torch.nn.Sequential(
        torch.nn.Linear(2, 3),
        torch.nn.Conv1d(3, 4, 3),
        torch.nn.BatchNorm1d(4),
        torch.nn.Linear(4, 2),
    )
    network[0].requires_grad_(False)
    chosen = losses.regularised(network, [network[3]])
    assert [id(p) for p in chosen] == [id(network[1].weight)]


# ---- intensity distillation


@pytest.mark.parametrize(
    ("strategy", "k", "negatives"), [("all", None, 10), ("uniform", None, 5), ("softmax", 3, 3)]
)
def test_distillation_starts_at_log_of_one_plus_negatives(
    strategy: str, k: int | None, negatives: int
) -> None:
    h = torch.ones(2, 11, 8)
    frames = torch.rand(2, 11, 3, 6, 6, generator=generator())
    chosen = losses.sample_negatives(frames, strategy, k, generator=generator())
    assert losses.intensity_distillation(h, h, chosen).item() == pytest.approx(
        math.log(1 + negatives), rel=1e-5
    )


def test_distillation_against_its_formula() -> None:
    h, positive = torch.randn(2, 3, 5, 4, generator=generator()).unbind()
    chosen = losses.sample_negatives(h, "uniform", 2, generator=generator())
    terms = []
    for b in range(3):
        for n in range(5):
            near = math.exp(torch.cosine_similarity(h[b, n], positive[b, n], dim=0).item() / 0.3)
            far = [
                math.exp(torch.cosine_similarity(h[b, n], h[b, k], dim=0).item() / 0.3)
                for k in range(5)
                if chosen[b, n, k]
            ]
            terms.append(-math.log(near / (near + sum(far))))
    assert losses.intensity_distillation(h, positive, chosen, 0.3).item() == pytest.approx(
        np.mean(terms), rel=1e-5
    )


def test_distillation_gradient_is_finite_at_tiny_tau() -> None:
    h = torch.randn(1, 6, 4, generator=generator()).requires_grad_()
    chosen = losses.sample_negatives(h, "all")
    losses.intensity_distillation(h, -h.detach(), chosen, tau=1e-3).backward()
    assert h.grad is not None
    assert torch.isfinite(h.grad).all()


@pytest.mark.parametrize("strategy", losses.STRATEGIES)
def test_negatives_never_hold_the_anchor(strategy: str) -> None:
    frames = torch.randint(0, 256, (3, 7, 3, 5, 5), dtype=torch.uint8, generator=generator())
    chosen = losses.sample_negatives(frames, strategy, generator=generator(1))
    assert chosen.shape == (3, 7, 7)
    assert not chosen.diagonal(dim1=1, dim2=2).any()
    assert (chosen.sum(-1) == (6 if strategy == "all" else 3)).all()
    again = losses.sample_negatives(frames, strategy, generator=generator(1))
    assert torch.equal(chosen, again)


def test_softmax_prefers_frames_that_differ() -> None:
    values = torch.tensor([0.0, 0.01, 0.02, 1.0])[None, :, None].expand(400, 4, 2)
    chosen = losses.sample_negatives(values, "softmax", 1, temperature=0.5, generator=generator())
    difference = losses.frame_differences(values)[0, 0]
    expected = torch.softmax(difference[1:] / 0.5, 0)
    torch.testing.assert_close(chosen[:, 0, 1:].float().mean(0), expected, atol=0.06, rtol=0)
    assert expected[2] > 0.9


def test_frame_differences_use_luma_and_no_scale() -> None:
    frames = torch.zeros(1, 3, 3, 2, 2)
    frames[0, 1, 0] = 100
    frames[0, 2, 1] = 100
    row = losses.frame_differences(frames)[0, 0]
    torch.testing.assert_close(row, torch.tensor([0, 0.299, 0.587]) / (0.886 / 2))
    torch.testing.assert_close(losses.frame_differences(frames * 0.1)[0, 0], row)


def test_identical_frames_can_still_be_drawn() -> None:
    chosen = losses.sample_negatives(torch.zeros(1, 5, 3, 4, 4), "softmax", generator=generator())
    assert (chosen.sum(-1) == 2).all()
    mixed = torch.tensor([0.0, 0.0, 0.0, 1e6])[None, :, None]
    assert (losses.sample_negatives(mixed, "softmax", 3, temperature=1e-6).sum(-1) == 3).all()


# ---- tendency


def even_prototype(apex: int, frames: int = 11) -> tuple[torch.Tensor, torch.Tensor]:
    """mu and sigma (1, N) of a clip whose ends are onset and offset, a frame a second."""
    last = torch.tensor([frames - 1.0])
    return losses.prototype(torch.arange(frames)[None], torch.tensor([float(apex)]), last)


def test_prototype_is_a_tent_whose_three_sigma_ranges_touch() -> None:
    mu, sigma = even_prototype(3)
    torch.testing.assert_close(mu[0, [0, 10]], torch.full((2,), 0.1))
    assert mu.argmax(1).item() == 3
    assert mu[0, 3].item() == pytest.approx(1)
    torch.testing.assert_close(sigma[0, 0] * 6, mu[0, 1] - mu[0, 0])
    torch.testing.assert_close(sigma[0, 10] * 6, mu[0, 9] - mu[0, 10])
    torch.testing.assert_close(sigma[0, 3], torch.minimum(sigma[0, 2], sigma[0, 4]))
    draws = losses.draw_prototype(mu, sigma, 2000, generator())
    torch.testing.assert_close(draws.mean(-1), mu, atol=0.02, rtol=0)
    torch.testing.assert_close(draws.std(-1), sigma, atol=0.02, rtol=0)
    with pytest.raises(UsageError, match="at least 3"):
        even_prototype(0, 2)


@pytest.mark.parametrize("before", [-0.1, 0.0, 0.1])
@pytest.mark.parametrize("after", [-0.1, 0.0, 0.1])
def test_prototype_ends_at_the_true_onset_and_offset_whatever_the_clip(
    before: float, after: float
) -> None:
    times = torch.linspace(before, 0.4 + after, 11)[None]
    mu, sigma = losses.prototype(times, torch.tensor([0.16]), torch.tensor([0.4]))
    for time, found in zip(times[0].tolist(), mu[0].tolist(), strict=True):
        assert found == pytest.approx(np.interp(time, [0, 0.16, 0.4], [0.1, 1, 0.1]), abs=1e-5)
    assert (sigma > 0).all()
    assert (sigma < 0.9 / 6).all()


@pytest.mark.parametrize("kappa", [1e-3, 0.05, 1.0])
def test_soft_ranks_sum_to_u_plus_a_constant(kappa: float) -> None:
    first = torch.rand(7, generator=generator()).double()
    second = torch.rand(9, generator=generator(1)).double()
    pooled = torch.cat([first, second])
    comparisons = torch.sigmoid((first[:, None] - pooled[None]) / kappa)
    ranks = 1 + comparisons.sum(1) - 0.5  # every value ties with itself
    torch.testing.assert_close(ranks.sum(), losses.soft_u(first, second, kappa) + 7 * 8 / 2)


@pytest.mark.parametrize("sizes", [(1, 16), (3, 48), (11, 176), (11, 11)])
def test_hard_ranks_give_the_p_value_of_scipy(sizes: tuple[int, int]) -> None:
    rng = np.random.default_rng(3)
    for shift in (0.0, 0.3, -2.0):
        first = rng.normal(shift, 1, sizes[0])
        second = rng.normal(0, 1, sizes[1])
        u = losses.soft_u(torch.tensor(first), torch.tensor(second), HARD)
        expected = stats.ranksums(first, second).pvalue
        assert losses.log_p_value(u, *sizes).exp().item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("n1", "n2", "smallest"), [(1, 16, 0.102), (1, 64, 0.088), (11, 11, 7.1e-5)]
)
def test_smallest_attainable_p(n1: int, n2: int, smallest: float) -> None:
    top = losses.log_p_value(torch.tensor(float(n1 * n2)), n1, n2).exp().item()
    bottom = losses.log_p_value(torch.tensor(0.0), n1, n2).exp().item()
    assert top == pytest.approx(smallest, rel=0.02)
    assert top == pytest.approx(bottom)


@pytest.mark.parametrize("z", [1.0, 36.0, 300.0])
def test_log_p_stays_finite_and_steep_far_out(z: float) -> None:
    n1 = 1
    n2 = 16
    u = torch.tensor(n1 * n2 / 2 + z * math.sqrt(n1 * n2 * (n1 + n2 + 1) / 12), requires_grad=True)
    log_p = losses.log_p_value(u, n1, n2)
    log_p.backward()
    assert log_p.item() == pytest.approx(math.log(2) + stats.norm.logsf(z), rel=1e-4)
    assert u.grad is not None
    assert u.grad.item() < 0


def test_global_scope_is_blind_to_order_and_frame_scope_is_not() -> None:
    mu, sigma = even_prototype(5)
    draws = losses.draw_prototype(mu, sigma, 16, generator())
    shuffled = mu[:, torch.randperm(11, generator=generator())]
    tests = {
        s: [losses.wilcoxon(x, draws, scope=s).item() for x in (mu, shuffled)]
        for s in losses.SCOPES
    }
    assert tests["global"][0] == pytest.approx(tests["global"][1], abs=1e-6)
    assert tests["frame"][0] < 0.1 < tests["frame"][1]
    assert tests["window"][0] < tests["window"][1]


@pytest.mark.parametrize("scope", losses.SCOPES)
@pytest.mark.parametrize("form", losses.FORMS)
def test_wilcoxon_is_a_hinge_with_finite_gradients(scope: str, form: str) -> None:
    pairs = [even_prototype(apex) for apex in (4, 6)]
    mu, sigma = (torch.cat(parts) for parts in zip(*pairs, strict=True))
    draws = losses.draw_prototype(mu, sigma, 16, generator())
    s = (1.2 - mu).requires_grad_()
    far = losses.wilcoxon(s, draws, delta=0.9, kappa=0.2, scope=scope, form=form)
    far.backward()
    assert s.grad is not None
    assert torch.isfinite(s.grad).all()
    assert s.grad.any()
    assert losses.wilcoxon(s, draws, delta=1e-9, scope=scope, form=form).item() == 0


def test_frame_scope_pulls_free_intensities_into_the_tendency() -> None:
    mu, sigma = even_prototype(5)
    free = torch.randn(1, 11, generator=generator()).requires_grad_()
    optimiser = torch.optim.Adam([free], 0.05)
    random = generator(1)
    for step in range(250):
        kappa = 0.2 + (0.05 - 0.2) * step / 249
        loss = losses.wilcoxon(
            free.sigmoid(), losses.draw_prototype(mu, sigma, 16, random), 0.5, kappa
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    s = free.detach().sigmoid()[0].numpy()
    assert s.argmax() == 5
    assert stats.spearmanr(s, mu[0].numpy()).statistic > 0.95


def test_classification_loss_is_log_of_the_classes_at_first_and_skips_the_unlabelled() -> None:
    even = torch.zeros(3, 5, requires_grad=True)
    loss = losses.classification_loss(even, torch.tensor([0, -1, 4]))
    assert loss.item() == pytest.approx(math.log(5))
    loss.backward()
    assert even.grad is not None
    assert even.grad[1].abs().max() == 0
    assert losses.classification_loss(even, torch.full((3,), -1)).item() == 0
    sure = torch.tensor([[20.0, 0, 0], [0, 20.0, 0]])
    assert losses.classification_loss(sure, torch.tensor([0, 1])).item() < 1e-6
    # a wrong answer costs its class's share of the weights
    weight = torch.tensor([3.0, 1.0, 1.0])
    wrong = losses.classification_loss(sure, torch.tensor([1, 1]), weight)
    assert wrong.item() == pytest.approx(10, rel=1e-4)
    assert losses.classification_loss(sure, torch.tensor([0, 0]), weight).item() == pytest.approx(
        10, rel=1e-4
    )
    assert losses.classification_loss(sure, torch.tensor([1, 0]), weight).item() == pytest.approx(
        20, rel=1e-4
    )


def test_total_wants_one_coefficient_for_each_loss() -> None:
    parts = {"id": torch.tensor(2.0), "class": torch.tensor(3.0, requires_grad=True)}
    assert losses.total(parts, {"class": 1.0, "id": 0.1}).item() == pytest.approx(3.2)
    with pytest.raises(UsageError, match="wrst"):
        losses.total(parts, {"class": 1.0, "wrst": 0.1})


def test_unknown_names_are_refused() -> None:
    s = torch.zeros(1, 3)
    draws = torch.zeros(1, 3, 4)
    with pytest.raises(UsageError, match="frame, window, global"):
        losses.wilcoxon(s, draws, scope="clip")
    with pytest.raises(UsageError, match="log, literal"):
        losses.wilcoxon(s, draws, form="p")
    with pytest.raises(UsageError, match="all, uniform, softmax"):
        losses.sample_negatives(s[..., None], "hard")
