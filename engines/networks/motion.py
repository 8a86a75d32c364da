"""What moved between two crops of one face: bounded grey differences, or the displacement that explains them.

A difference depends on the face (a dark brow gives ten times that of a pale one), so a network that sees only
differences must learn every face anew. `Flow` divides that out: the least-squares displacement of Lucas and Kanade
(IJCAI 1981), one step of it, at every place of the crop. It is linear in the difference, needs no iteration, exports
to plain matrix products, and is the best linear estimate under sensor noise. What the whole crop does together (shift,
turn and growth that alignment left over) is taken away first: an ME is local [S1 M2].
Not from the papers. Shape letters: B batch, D lags, S crop side, H = S / 2, Q = H / step.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..specs import LUMA

DIFFERENCE_GAIN = (
    8.0  # grey levels / 255 -> network units: a 1-2 px movement of an edge comes out near 0.5
)
FLOW_GAIN = 1.0  # per pixel of the full crop
LOCAL_MEAN = 6.0  # standard deviation, half-resolution px; what is slower is light, not movement
WINDOW = 2.5  # of the least squares, likewise: about 2 cm of face
RIDGE = 1e-4  # of the gradient's energy ((grey level / 255 per px)^2): flat skin says nothing and gets no flow
SPARSE = 2  # every second pixel each way is enough to fit the common movement
CLAMP = 0.06  # of the change that shift, turn and growth are fitted to: a blink or an open mouth must not steer them


def luma(colours: Tensor) -> Tensor:
    """(B, 3, S, S) RGB -> (B, 1, S, S)."""
    return LUMA[0] * colours[:, 0:1] + LUMA[1] * colours[:, 1:2] + LUMA[2] * colours[:, 2:3]


def bounded(difference: Tensor) -> Tensor:
    """(B, D, ...) grey differences in -1..1, each less its mean, which is light; a blink is bounded like an ME."""
    return torch.tanh(DIFFERENCE_GAIN * (difference - difference.mean((2, 3), keepdim=True)))


class Flow(nn.Module):
    """Crops of one side -> (B, 1 + 3 D, Q, Q): the grey itself, D bounded differences, D flows in x, D in y.

    step: of the places, in half-resolution px: Q = H / step. With 2 the flow loses nothing, since its window has no
    detail finer than that, and everything behind it costs a quarter. crops: most that are prepared as one stack.
    """

    def __init__(self, side: int, step: int = 1, crops: int = 1) -> None:
        super().__init__()
        self.odd = side % 2
        # one convolution for all crops of a stack: a grouped one takes twice as long
        halve = torch.kron(torch.eye(crops), torch.tensor(LUMA)[None]) / (
            4 * 255
        )  # (crops, 3 crops)
        half = (side + self.odd) // 2
        smooth, mean = _band(half, 0.7), _blocks(half, step)
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
        """RGB crops (B, 3 C, S, S), 0 to 255 -> (B, C, H, H): grey at half the resolution, less the local mean."""
        values = pixels.float()
        if self.odd:
            values = F.pad(values, (0, 1, 0, 1), mode="replicate")
        count = pixels.shape[1] // 3
        half = F.conv2d(values, self.halve[:count, : 3 * count], stride=2)
        return half - self.local @ half @ self.local.T

    def forward(self, now: Tensor, earlier: Tensor) -> Tensor:
        """Prepared crops: now (B, 1, H, H), earlier (B, D, H, H)."""
        gx, gy = self.smooth @ now @ self.slope.T, self.slope @ now @ self.smooth.T  # (B, 1, H, H)
        change = now - earlier  # (B, D, H, H)
        even = self.smooth @ change @ self.smooth.T
        lags = change.shape[1]
        sums = (
            self.window
            @ torch.cat([gx * gx, gx * gy, gy * gy, gx * even, gy * even], 1)
            @ self.window.T
        )
        xx, xy, yy = sums[:, 0:1], sums[:, 1:2], sums[:, 2:3]  # (B, 1, Q, Q)
        u, v = self._common(gx, gy, even)
        xt, yt = sums[:, 3 : 3 + lags] - xx * u - xy * v, sums[:, 3 + lags :] - xy * u - yy * v
        xx, yy = xx + RIDGE, yy + RIDGE
        scale = -2 * FLOW_GAIN / (xx * yy - xy * xy)  # half-resolution pixels are two of the crop
        across, down = scale * (yy * xt - xy * yt), scale * (xx * yt - xy * xt)
        seen, changed = self.mean @ torch.cat([now, change], 1) @ self.mean.T, DIFFERENCE_GAIN
        return torch.cat(
            [seen[:, :1], torch.tanh(torch.cat([changed * seen[:, 1:], across, down], 1))], 1
        )

    def _common(self, gx: Tensor, gy: Tensor, change: Tensor) -> tuple[Tensor, Tensor]:
        """Shift, turn and growth of the whole crop, fitted one after the other: u, v (B, D, Q, Q) at every place."""
        gx, gy, change = (part[..., ::SPARSE, ::SPARSE] for part in (gx, gy, change))
        x, y = self.place, self.place[:, None]
        shares = []
        for basis in (gx, gy, gy * x - gx * y, gx * x + gy * y):
            held = change.clamp(-CLAMP, CLAMP)
            energy = (basis * basis).sum((2, 3), keepdim=True) + RIDGE
            shares.append((held * basis).sum((2, 3), keepdim=True) / energy)  # (B, D, 1, 1)
            change = change - shares[-1] * basis
        across, down, turn, growth = shares
        x, y = self.coarse_place, self.coarse_place[:, None]
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
    weights = torch.where(
        away.abs() < 4, torch.exp(-0.5 * away**2), 0
    )  # denormal tails would slow every product
    return weights / weights.sum(1, keepdim=True)
