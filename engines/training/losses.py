"""Every loss of both papers as a pure function of tensors; nothing here knows a network or a loop.

Shape letters: B batch, M window scales, N frames (or ticks), J proposals, D feature length, Q
prototype draws. [S1] M.. and [S2] C.. name statements of `engines/PAPERS.md`. They
carry no equations: the forms below complete them, and every constant that they leave open is
an argument with a default "not from the paper".

Why the rank-sum test runs per frame: over a whole clip it is invariant to the order of the frames,
so it cannot enforce a tendency (C5, C16). Scope "global" is kept to measure exactly that.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from ..errors import UsageError
from ..specs import LUMA

STRATEGIES = ("all", "uniform", "softmax")
SCOPES = ("frame", "window", "global")
FORMS = ("log", "literal")
SHORTEST_S = 1e-3  # flank of a prototype
WINDOW_FRAMES = 3  # length of the "window" scope; not from the paper


# ---- MESNet


def cpn_loss(logits: Tensor, labels: Tensor, used: Tensor, beta_max: float) -> Tensor:
    """Balanced binary cross-entropy over the used windows [S1 M27].

    logits, labels (0 or 1), used (bool): all (B, M, N). Positives weigh beta = negatives /
    positives, limited to [1, beta_max] and 1 without positives; beta's form is not from the paper.
    0 where nothing is used.
    """
    chosen = logits[used]
    truth = labels[used].to(logits.dtype)
    if chosen.numel() == 0:
        return logits.sum() * 0
    positive = truth.sum()
    ratio = (truth.numel() - positive) / positive.clamp(min=1)
    beta = torch.where(positive > 0, ratio.clamp(1, beta_max), torch.ones_like(ratio))
    return F.binary_cross_entropy_with_logits(chosen, truth, pos_weight=beta)


def crn_loss(
    class_logits: Tensor,
    offsets: Tensor,
    labels: Tensor,
    targets: Tensor,
    scale: float,
    weight: float,
) -> Tensor:
    """Cross-entropy plus Smooth L1 of the boundaries, the latter for MEs only [S1 M29, M31].

    class_logits (J, 2) with column 1 = ME, offsets (J, 2) in window lengths, labels (J,) 0 or 1,
    targets (J, 2). Both terms average over all J. `scale` (where Smooth L1 turns linear) and
    `weight` are not from the paper.
    """
    if labels.numel() == 0:
        return class_logits.sum() * 0 + offsets.sum() * 0
    classes = F.cross_entropy(class_logits, labels.long())
    # targets of non-MEs may be anything, NaN included: they are replaced, not multiplied away
    aims = torch.where(labels.bool()[:, None], targets.to(offsets.dtype), offsets.detach())
    distance = F.smooth_l1_loss(offsets / scale, aims / scale, reduction="sum")
    return classes + weight * distance / labels.numel()


def pretrain_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of whole clips [S1 M18, M19].

    logits (B, 2) with column 1 = ME, labels (B,) 0 or 1.
    """
    return F.cross_entropy(logits, labels.long())


def regularised(network: nn.Module, excluded: Iterable[nn.Module] = ()) -> list[nn.Parameter]:
    """The trainable parameters of `network` that the L2 term takes [S1 M19, M20, M31].

    They are the kernels of its layers, without biases and the gains of norms, which is not from the
    paper.

    network: what is trained.

    excluded: its modules whose parameters are left out: the last fully-connected layer for
    pre-training (M20), CRN's two output layers for CRN (M31).
    """
    left_out = {id(parameter) for module in excluded for parameter in module.parameters()}
    kernels = [p for p in network.parameters() if p.requires_grad and p.ndim > 1]
    return [p for p in kernels if id(p) not in left_out]


# ---- CMNet: intensity distillation


def intensity_distillation(
    h: Tensor, h_pos: Tensor, negatives: Tensor, tau: float = 0.07
) -> Tensor:
    """Contrast every frame with other frames of its own clip [S2 C4, C11, C12, C15].

    h, h_pos (B, N, D): features of the frames and of their transformed copies; negatives (B, N, N)
    bool, row n marks the frames that are negatives of n. InfoNCE on cosines, averaged over frames
    and clips; with equal cosines a frame with K negatives costs log(1 + K). The form and `tau` are
    not from the paper.
    """
    anchor = F.normalize(h, dim=-1)
    positive = F.normalize(h_pos, dim=-1)
    near = (anchor * positive).sum(-1, keepdim=True) / tau  # (B, N, 1)
    far = anchor @ anchor.transpose(1, 2) / tau  # (B, N, N)
    far = far.masked_fill(~negatives, -torch.inf)
    return (torch.logsumexp(torch.cat([near, far], -1), -1) - near.squeeze(-1)).mean()


def frame_differences(frames: Tensor) -> Tensor:
    """Mean absolute difference of every two frames over the row's mean, (B, N, N).

    Scale free, with a zero diagonal. frames: (B, N, 3, S, S) images, compared by luma, or (B, N, D)
    features. Not from the paper.
    """
    values = frames.detach().float()
    if values.ndim == 5:
        values = torch.tensordot(values, values.new_tensor(LUMA), dims=([2], [0]))
    flat = values.flatten(2)
    distance = torch.cdist(flat, flat, p=1.0) / flat.shape[-1]
    others = distance.sum(-1, keepdim=True) / max(flat.shape[1] - 1, 1)
    return distance / others.clamp(min=torch.finfo(distance.dtype).tiny)


def sample_negatives(
    frames: Tensor,
    strategy: str = "softmax",
    k: int | None = None,
    temperature: float = 0.5,
    generator: Generator | None = None,
) -> Tensor:
    """Choose the negatives of every frame from its clip, (B, N, N) bool [S2 C12-C14].

    `all` takes every other frame; `uniform` takes k with equal probability; `softmax` takes k by
    the softmax of their difference from the anchor. k defaults to half the others, rounded up; it
    and `temperature` are not from the paper. The diagonal is False. frames: as in
    `frame_differences`. Raises UsageError for another strategy.
    """
    batch, n = frames.shape[:2]
    others = ~torch.eye(n, dtype=torch.bool, device=frames.device).expand(batch, n, n)
    if strategy == "all":
        return others.clone()
    if strategy == "uniform":
        weights = others.float()
    elif strategy == "softmax":
        difference = frame_differences(frames) / temperature
        weights = difference.masked_fill(~others, -torch.inf).softmax(-1)
        # multinomial refuses too few non-zeros, so a frame so near that its weight underflows
        # keeps the least weight
        weights = torch.where(others, weights.clamp(min=torch.finfo(weights.dtype).tiny), 0.0)
    else:
        raise UsageError(f"negative strategy {strategy!r}: expected one of {', '.join(STRATEGIES)}")
    count = math.ceil((n - 1) / 2) if k is None else min(k, n - 1)
    drawn = torch.multinomial(weights.flatten(0, 1), count, generator=generator)
    chosen = torch.zeros(batch * n, n, dtype=torch.bool, device=frames.device)
    return chosen.scatter_(1, drawn, True).view(batch, n, n)


# ---- CMNet: tendency


def prototype(
    times: Tensor,
    apex: Tensor,
    offset: Tensor,
    eps: float = 0.1,
    step_fraction: float = 1 / 6,
) -> tuple[Tensor, Tensor]:
    """The target intensity curve of clips as Gaussians (mu, sigma), each (B, N) [S2 C16-C21].

    times (B, N): when each frame was taken, in s since the ME's onset; apex, offset (B,): in s
    since it too. mu rises linearly from eps at the onset to 1 at the apex and falls back to eps at
    the offset, wherever the clip begins and ends; beyond onset and offset it is eps. sigma is
    `step_fraction` of the step that mu makes in the clip's mean spacing, so that by default
    neighbouring 3-sigma ranges just touch (of the smaller step about the apex). Linear segments,
    eps and the fraction are not from the paper. Raises UsageError for fewer than 3 frames.
    """
    frames = times.shape[1]
    if frames < 3:
        raise UsageError(
            f"a prototype needs onset, apex and offset: expected at least 3 frames, got {frames}"
        )
    rising = apex.clamp(min=SHORTEST_S)[:, None]  # (B, 1)
    falling = (offset - apex).clamp(min=SHORTEST_S)[:, None]
    level = torch.minimum(times / rising, (offset[:, None] - times) / falling)
    mu = eps + (1 - eps) * level.clamp(0, 1)  # (B, N)
    spacing = (times[:, -1:] - times[:, :1]) / (frames - 1)
    rise = (spacing / rising).clamp(max=1)
    fall = (spacing / falling).clamp(max=1)
    from_apex = times - apex[:, None]
    step = torch.where(from_apex < 0, rise, fall)
    step = torch.where(from_apex.abs() < spacing / 2, torch.minimum(rise, fall), step)
    return mu, (1 - eps) * step * step_fraction


def draw_prototype(
    mu: Tensor, sigma: Tensor, draws: int = 16, generator: Generator | None = None
) -> Tensor:
    """Fresh samples of the prototype, (B, N, draws) [S2 C6, C18].

    The number of draws is not from the paper.
    """
    noise = torch.randn(*mu.shape, draws, generator=generator, device=mu.device, dtype=mu.dtype)
    return mu[..., None] + sigma[..., None] * noise


def soft_u(first: Tensor, second: Tensor, kappa: float) -> Tensor:
    """Mann-Whitney U (...,) of (..., n1) against (..., n2); sigmoids of width `kappa` compare.

    W = U + n1 (n1 + 1) / 2 holds exactly for the soft ranks 1 + sum of sigmoids, as for hard ones.
    """
    return torch.sigmoid((first[..., :, None] - second[..., None, :]) / kappa).sum((-1, -2))


def log_p_value(u: Tensor, n1: int, n2: int) -> Tensor:
    """Log of the two-sided rank-sum p-value of U [S2 C23, C24].

    By normal approximation, finite for any U.
    """
    z = (u - n1 * n2 / 2) / math.sqrt(n1 * n2 * (n1 + n2 + 1) / 12)
    # erfc(|z| / sqrt 2) = 2 Phi(-|z|); log_ndtr keeps its precision where Phi underflows
    tail: Tensor = torch.special.log_ndtr(-z.abs())
    return math.log(2) + tail


def wilcoxon(
    s: Tensor,
    draws: Tensor,
    delta: float = 0.5,
    kappa: float = 0.05,
    scope: str = "frame",
    form: str = "log",
) -> Tensor:
    """Penalise intensities that do not follow the prototype, with a margin [S2 C8, C23-C25].

    s (B, N) intensities, draws (B, N, Q) prototype samples. `scope` is what one rank-sum test
    takes: each frame, 3 neighbours, or the whole clip (blind to order). `form`: hinge on log p
    (usable gradient far away) or on p itself (literal); both are zero exactly where p >= delta.
    delta must exceed the smallest attainable p (0.102 for one frame and 16 draws). None of the
    constants is from the paper. Raises UsageError for another scope or form.
    """
    frames = s.shape[1]
    widths = {"frame": 1, "window": min(WINDOW_FRAMES, frames), "global": frames}
    width = widths.get(scope)
    if width is None:
        raise UsageError(f"rank-sum scope {scope!r}: expected one of {', '.join(SCOPES)}")
    first = s.unfold(1, width, 1)  # (B, N - width + 1, width)
    second = draws.unfold(1, width, 1).flatten(2)  # (B, N - width + 1, Q width)
    log_p = log_p_value(soft_u(first, second, kappa), first.shape[-1], second.shape[-1])
    if form == "log":
        return F.relu(math.log(delta) - log_p).mean()
    if form == "literal":
        return F.relu(delta - log_p.exp()).mean()
    raise UsageError(f"rank-sum form {form!r}: expected one of {', '.join(FORMS)}")


def classification_loss(logits: Tensor, labels: Tensor, weight: Tensor | None = None) -> Tensor:
    """Cross-entropy of emotions, weighted by class [S2 C28]; the weights are not from the paper.

    logits (B, C), labels (B,) with -1 where a clip has no label in this set; 0 where none has one.
    """
    known = labels >= 0
    if not bool(known.any()):
        return logits.sum() * 0
    return F.cross_entropy(logits[known], labels[known], weight)


# ---- both


def total(losses: Mapping[str, Tensor], coefficients: Mapping[str, float]) -> Tensor:
    """The coefficient vector times the losses [S1 M35, S2 C28].

    Raises UsageError where their names differ.
    """
    odd = sorted(set(losses) ^ set(coefficients))
    if odd:
        raise UsageError(
            f"losses and coefficients disagree on {', '.join(odd)}: give each loss one coefficient"
        )
    return torch.stack([coefficients[name] * loss for name, loss in losses.items()]).sum()
