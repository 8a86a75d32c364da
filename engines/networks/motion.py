"""What moved between two crops of one face: bounded grey differences, or optical flow.

A difference depends on the face (a dark brow gives ten times that of a pale one), so a network that
sees only differences must learn every face anew. `Flow` divides that out: the least-squares
displacement of Lucas and Kanade (IJCAI 1981), one step of it, at every place of the crop. It is
linear in the difference, needs no iteration, exports to plain matrix products, and is the best
linear estimate under sensor noise. The movement of the whole crop (shift, turn and growth that
alignment left over) is subtracted first: an ME is local [S1 M2]. Not from the papers.

Shape letters: B batch, D lags, S crop side, H = S / 2, Q = H / step.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..alignment.face_template import depth
from ..specs import LUMA, RIDGE
from .surroundings import Surroundings

# Grey levels / 255 -> network units: a 1-2 px movement of an edge gives about 0.5.
DIFFERENCE_GAIN = 8.0
FLOW_GAIN = 1.0  # per pixel of the full crop
# Standard deviations of Gaussian windows, half-resolution px
LOCAL_MEAN = 6.0  # what varies over more than this is light, not movement
WINDOW = 2.5  # of the least squares: about 2 cm of face
SPARSE = 2  # every second pixel each way is enough to fit the common movement
# Largest change that shift, turn and growth are fitted to: a blink or an open mouth must not decide
# them.
CLAMP = 0.06


def luma(colours: Tensor) -> Tensor:
    """RGB (B, 3, S, S) -> grey (B, 1, S, S)."""
    return LUMA[0] * colours[:, 0:1] + LUMA[1] * colours[:, 1:2] + LUMA[2] * colours[:, 2:3]


def bounded(difference: Tensor) -> Tensor:
    """Grey differences (B, D, ...) in -1..1, each less its mean, which is light.

    They are bounded so that a blink counts like an ME.
    """
    return torch.tanh(DIFFERENCE_GAIN * (difference - difference.mean((2, 3), keepdim=True)))


@dataclass(frozen=True)
class FlowOptions:
    """What `Flow` shows beside differences and flows; nothing as a default.

    surround: indices of the lags whose flow is also shown less that of its surroundings. parallax:
    whether yaw and pitch of a mean face belong to the movement of the whole crop. certainty:
    whether the share of a small step that the flow shows is a channel. ridge: of the least squares.
    """

    surround: tuple[int, ...] = ()
    parallax: bool = False
    certainty: bool = False
    ridge: float = RIDGE

    def channels(self, lags: int) -> int:
        """Channels of the flow between crops with `lags` earlier ones."""
        return 1 + 3 * lags + 2 * len(self.surround) + self.certainty


class Flow(nn.Module):
    """Optical flow between crops of `side` px.

    step: between the places of the flow, in half-resolution px: Q = H / step. With 2 the flow loses
    nothing, since its window has no finer detail, and all layers behind it cost a quarter. crops:
    the most that are prepared as one stack. options: further channels, which come last.
    """

    def __init__(
        self, side: int, step: int = 1, crops: int = 1, options: FlowOptions | None = None
    ) -> None:
        super().__init__()
        self.options = options or FlowOptions()
        self.odd = side % 2
        # one convolution for all crops of a stack: a grouped one takes twice as long
        halve = torch.kron(torch.eye(crops), torch.tensor(LUMA)[None])  # (crops, 3 crops)
        halve = halve / (4 * 255)
        half = (side + self.odd) // 2
        smooth = _band(half, 0.7)
        mean = _blocks(half, step)
        ahead = torch.cat([torch.eye(half)[1:], torch.eye(half)[-1:]])
        place = (torch.arange(half) - (half - 1) / 2) / half
        depths = _depths(half)
        for name, matrix in (
            ("halve", halve[:, :, None, None].repeat(1, 1, 2, 2)),
            ("local", _band(half, LOCAL_MEAN)),
            ("mean", mean),
            ("window", mean @ _band(half, WINDOW)),
            ("smooth", smooth),
            ("slope", (ahead - ahead.flip(0, 1)) / 2 @ smooth),
            ("place", place[::SPARSE]),
            ("coarse_place", mean @ place),
            ("depth", depths),
            ("coarse_depth", mean @ depths @ mean.T),
        ):
            self.register_buffer(name, matrix.contiguous(), persistent=False)
        self.halve: Tensor
        self.local: Tensor
        self.mean: Tensor
        self.window: Tensor
        self.smooth: Tensor
        self.slope: Tensor
        self.place: Tensor
        self.coarse_place: Tensor
        self.depth: Tensor
        self.coarse_depth: Tensor
        self.surroundings = Surroundings(len(mean)) if self.options.surround else None

    def prepare(self, pixels: Tensor) -> Tensor:
        """RGB crops (B, 3 C, S, S), 0 to 255 -> grey at half resolution (B, C, H, H).

        Each is less its local mean.
        """
        values = pixels.float()
        if self.odd:
            values = F.pad(values, (0, 1, 0, 1), mode="replicate")
        count = pixels.shape[1] // 3
        half = F.conv2d(values, self.halve[:count, : 3 * count], stride=2)
        return self.less_local_mean(half)

    def less_local_mean(self, half: Tensor) -> Tensor:
        """Grey at half resolution (B, C, H, H), 0 to 1, less what varies slowly, which is light."""
        return half - self.local @ half @ self.local.T

    def forward(self, now: Tensor, earlier: Tensor) -> Tensor:
        """Prepared crops, now (B, 1, H, H) and earlier (B, D, H, H) -> (B, 1 + 3 D, Q, Q).

        The channels are the grey of now, D bounded differences, D flows in x and D in y. Those of
        the options follow: flows less their surroundings in x, in y, and the certainty.
        """
        change = now - earlier  # (B, D, H, H)
        seen = self.coarse(torch.cat([now, change], 1))
        gx, gy = self.slopes(now)
        even = self.even(change)
        return self.moved(self.sums(gx, gy, even), self.shares(gx, gy, even), seen)

    def slopes(self, grey: Tensor) -> tuple[Tensor, Tensor]:
        """Slopes of prepared crops (B, C, H, H) in x and in y."""
        return self.smooth @ grey @ self.slope.T, self.slope @ grey @ self.smooth.T

    def even(self, grey: Tensor) -> Tensor:
        """Prepared crops (B, C, H, H) smoothed."""
        return self.smooth @ grey @ self.smooth.T

    def coarse(self, grey: Tensor) -> Tensor:
        """Prepared crops (B, C, H, H) at the places of the flow (B, C, Q, Q)."""
        return self.mean @ grey @ self.mean.T

    def sums(self, gx: Tensor, gy: Tensor, even: Tensor) -> Tensor:
        """Entries of the least squares under their window, (B, 3 + 2 D, Q, Q).

        gx, gy (B, 1, H, H) slopes of now; even (B, D, H, H) the smoothed changes.
        """
        products = torch.cat([gx * gx, gx * gy, gy * gy, gx * even, gy * even], 1)
        return self.window @ products @ self.window.T

    def moved(self, sums: Tensor, shares: list[Tensor], seen: Tensor) -> Tensor:
        """As `forward`, from `sums`, `shares` and seen (B, 1 + D, Q, Q): now, changes, coarse."""
        lags = seen.shape[1] - 1
        xx = sums[:, 0:1]  # (B, 1, Q, Q)
        xy = sums[:, 1:2]
        yy = sums[:, 2:3]
        u, v = self._common(shares)
        xt = sums[:, 3 : 3 + lags] - xx * u - xy * v  # (B, D, Q, Q)
        yt = sums[:, 3 + lags :] - xy * u - yy * v
        certainty = self._certainty(xx, xy, yy)
        xx = xx + self.options.ridge
        yy = yy + self.options.ridge
        scale = -2 * FLOW_GAIN / (xx * yy - xy * xy)  # half-resolution pixels are two of the crop
        across = scale * (yy * xt - xy * yt)
        down = scale * (xx * yt - xy * xt)
        unbounded = [DIFFERENCE_GAIN * seen[:, 1:], across, down]
        if self.surroundings is not None:
            flow = torch.cat(
                [part[:, i : i + 1] for part in (across, down) for i in self.options.surround], 1
            )
            unbounded.append(flow - self.surroundings(flow))
        bounded_parts = torch.tanh(torch.cat(unbounded, 1))
        return torch.cat([seen[:, :1], bounded_parts, *certainty], 1)

    def _certainty(self, xx: Tensor, xy: Tensor, yy: Tensor) -> list[Tensor]:
        """(B, 1, Q, Q) in 0..1: the share of a small step that the flow shows where it shows least.

        That is e / (e + ridge), e the smaller eigenvalue of the least squares' matrix. Empty where
        it is no channel.
        """
        if not self.options.certainty:
            return []
        half = (xx - yy) / 2
        smaller = (xx + yy) / 2 - torch.sqrt(half * half + xy * xy)
        smaller = smaller.clamp(min=0)  # of rounding
        return [smaller / (smaller + self.options.ridge)]

    def bases(self, gx: Tensor, gy: Tensor) -> list[Tensor]:
        """Changes by movements of the whole crop, (B, 1, H / SPARSE, H / SPARSE) each.

        Yaw and pitch where parallax is asked for, then shift in x, shift in y, turn and growth.
        (Of turns by 0.1 rad that left 1.3 px, 0.95 px is left in this order, 0.98 px with yaw and
        pitch at the end.)
        """
        gx, gy = (part[..., ::SPARSE, ::SPARSE] for part in (gx, gy))
        x = self.place
        y = self.place[:, None]
        bases = [gx, gy, gy * x - gx * y, gx * x + gy * y]
        if self.options.parallax:
            apart = self.depth[::SPARSE, ::SPARSE]
            bases = [gx * apart, gy * apart, *bases]
        return bases

    def shares(self, gx: Tensor, gy: Tensor, change: Tensor) -> list[Tensor]:
        """How much of the change each of `bases` explains, one after the other, (B, D, 1, 1)."""
        change = change[..., ::SPARSE, ::SPARSE]
        shares = []
        for basis in self.bases(gx, gy):
            clamped = change.clamp(-CLAMP, CLAMP)
            energy = (basis * basis).sum((2, 3), keepdim=True) + RIDGE
            share = (clamped * basis).sum((2, 3), keepdim=True) / energy
            shares.append(share)
            change = change - share * basis
        return shares

    def _common(self, shares: list[Tensor]) -> tuple[Tensor, Tensor]:
        """The movement of the whole crop: u, v (B, D, Q, Q) at every place."""
        across, down, turn, growth = shares[-4:]
        x = self.coarse_place
        y = self.coarse_place[:, None]
        u = across - turn * y + growth * x
        v = down + turn * x + growth * y
        if self.options.parallax:
            yaw, pitch = shares[:2]
            u = u + yaw * self.coarse_depth
            v = v + pitch * self.coarse_depth
        return u, v


def _depths(size: int) -> Tensor:
    """(size, size) depth of a mean face less its mean: how its parts move apart as it turns."""
    found = torch.from_numpy(depth(size)).float()
    return found - found.mean()


def _blocks(size: int, step: int) -> Tensor:
    """(size / step, size) means of neighbours; the last block may be smaller."""
    block = torch.arange(size) // step
    member = (block[None, :] == torch.arange(int(block[-1]) + 1)[:, None]).float()
    return member / member.sum(1, keepdim=True)


def _band(size: int, spread: float) -> Tensor:
    """(size, size) Gaussian smoothing whose rows sum to 1, up to the edges."""
    place = torch.arange(size, dtype=torch.float32)
    away = (place[:, None] - place[None, :]) / spread
    # without the tails, whose denormal numbers would slow every product
    weights = torch.where(away.abs() < 4, torch.exp(-0.5 * away**2), 0)
    return weights / weights.sum(1, keepdim=True)
