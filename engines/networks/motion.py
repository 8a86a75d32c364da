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

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..specs import LUMA

# Grey levels / 255 -> network units: a 1-2 px movement of an edge gives about 0.5.
DIFFERENCE_GAIN = 8.0
FLOW_GAIN = 1.0  # per pixel of the full crop
# Standard deviations of Gaussian windows, half-resolution px
LOCAL_MEAN = 6.0  # what varies over more than this is light, not movement
WINDOW = 2.5  # of the least squares: about 2 cm of face
# Of the gradient's energy, (grey level / 255 per px)^2: flat skin gets no flow.
RIDGE = 1e-4
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


class Flow(nn.Module):
    """Optical flow between crops of `side` px.

    step: between the places of the flow, in half-resolution px: Q = H / step. With 2 the flow loses
    nothing, since its window has no finer detail, and all layers behind it cost a quarter. crops:
    the most that are prepared as one stack.
    """

    def __init__(self, side: int, step: int = 1, crops: int = 1) -> None:
        super().__init__()
        self.odd = side % 2
        # one convolution for all crops of a stack: a grouped one takes twice as long
        halve = torch.kron(torch.eye(crops), torch.tensor(LUMA)[None])  # (crops, 3 crops)
        halve = halve / (4 * 255)
        half = (side + self.odd) // 2
        smooth = _band(half, 0.7)
        mean = _blocks(half, step)
        ahead = torch.cat([torch.eye(half)[1:], torch.eye(half)[-1:]])
        place = (torch.arange(half) - (half - 1) / 2) / half
        for name, matrix in (
            ("halve", halve[:, :, None, None].repeat(1, 1, 2, 2)),
            ("local", _band(half, LOCAL_MEAN)),
            ("mean", mean),
            ("window", mean @ _band(half, WINDOW)),
            ("smooth", smooth),
            ("slope", (ahead - ahead.flip(0, 1)) / 2 @ smooth),
            ("place", place[::SPARSE]),
            ("coarse_place", mean @ place),
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

        The channels are the grey of now, D bounded differences, D flows in x and D in y.
        """
        gx = self.smooth @ now @ self.slope.T  # (B, 1, H, H)
        gy = self.slope @ now @ self.smooth.T
        change = now - earlier  # (B, D, H, H)
        even = self.smooth @ change @ self.smooth.T
        lags = change.shape[1]
        products = torch.cat([gx * gx, gx * gy, gy * gy, gx * even, gy * even], 1)
        sums = self.window @ products @ self.window.T
        xx = sums[:, 0:1]  # (B, 1, Q, Q)
        xy = sums[:, 1:2]
        yy = sums[:, 2:3]
        u, v = self._common(gx, gy, even)
        xt = sums[:, 3 : 3 + lags] - xx * u - xy * v  # (B, D, Q, Q)
        yt = sums[:, 3 + lags :] - xy * u - yy * v
        xx = xx + RIDGE
        yy = yy + RIDGE
        scale = -2 * FLOW_GAIN / (xx * yy - xy * xy)  # half-resolution pixels are two of the crop
        across = scale * (yy * xt - xy * yt)
        down = scale * (xx * yt - xy * xt)
        seen = self.mean @ torch.cat([now, change], 1) @ self.mean.T
        bounded_parts = torch.tanh(torch.cat([DIFFERENCE_GAIN * seen[:, 1:], across, down], 1))
        return torch.cat([seen[:, :1], bounded_parts], 1)

    def _common(self, gx: Tensor, gy: Tensor, change: Tensor) -> tuple[Tensor, Tensor]:
        """The movement of the whole crop: u, v (B, D, Q, Q) at every place.

        Shift in x, shift in y, turn and growth are fitted one after the other.
        """
        gx, gy, change = (part[..., ::SPARSE, ::SPARSE] for part in (gx, gy, change))
        x = self.place
        y = self.place[:, None]
        shares = []
        for basis in (gx, gy, gy * x - gx * y, gx * x + gy * y):
            clamped = change.clamp(-CLAMP, CLAMP)
            energy = (basis * basis).sum((2, 3), keepdim=True) + RIDGE
            share = (clamped * basis).sum((2, 3), keepdim=True) / energy  # (B, D, 1, 1)
            shares.append(share)
            change = change - share * basis
        across, down, turn, growth = shares
        x = self.coarse_place
        y = self.coarse_place[:, None]
        return across - turn * y + growth * x, down + turn * x + growth * y


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
