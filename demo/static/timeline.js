// Scores and intervals over time: the best score as a line with the refined scores as dots, the
// scores of every window length as a heat strip, the intervals below with each event's intensity
// inside. Columns come as the server sends them, the newest 30 with every frame.

import { levels, tint } from "./events.js";

const DRAW_MS = 66; // between two drawings: two frames, for 20 s of scores move by little in one
const NONE = 255, SHARE = [0.36, 0.36, 0.28], GAP = 5, AXIS = 18, GUTTER = 62, EDGE = 6;
const LINE = 11; // height of the smallest text, in CSS pixels
const PALE = 0.35; // of an interval behind its intensity
const CIVIDIS = [
  [0, 34, 78], [53, 69, 108], [102, 105, 112], [148, 142, 119], [200, 184, 102], [254, 232, 56],
];
const STEPS_S = [1, 2, 5, 10, 30, 60, 120, 300]; // between two labels of the axis

export class Timeline {
  // seconds: the span shown, ending now; null shows all there is.
  constructor(canvas, seconds) {
    this.canvas = canvas;
    this.seconds = seconds;
    this.drawnAt = 0;
    this.strip = new OffscreenCanvas(1, 1);
    this.clear();
    new ResizeObserver(() => this.redraw()).observe(canvas);
  }

  clear() {
    this.columns = []; // {ns, bytes}: window scores, then the refined score
    this.events = [];
    this.nowNs = 0;
    this.spec = null;
    this.redraw();
  }

  // What the run promises: grid_hz, windows_ms, t_cpn, t_crn, labels.
  begin(spec) { this.spec = spec; }

  // The newest columns of one face, as base64, the last of them at nowNs.
  take(nowNs, base64) {
    if (!this.spec) return;
    const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
    const wide = this.spec.windows_ms.length + 1, tick = 1e9 / this.spec.grid_hz;
    const count = bytes.length / wide;
    const first = nowNs - (count - 1) * tick;
    while (this.columns.length && this.columns.at(-1).ns > first - tick / 2) this.columns.pop();
    for (let i = 0; i < count; i++) {
      const column = bytes.subarray(i * wide, (i + 1) * wide);
      this.columns.push({ ns: first + i * tick, bytes: column });
    }
    const oldest = this.seconds ? nowNs - this.seconds * 1e9 : -Infinity;
    while (this.columns.length && this.columns[0].ns < oldest) this.columns.shift();
    this.now(nowNs);
  }

  now(ns) {
    this.nowNs = Math.max(this.nowNs, ns);
    this.redraw();
  }

  show(events) {
    this.events = events;
    this.redraw();
  }

  // The event under a mouse position, or null.
  at(clientX) {
    const x = clientX - this.canvas.getBoundingClientRect().left;
    const covers = ({ onset_s: onset, offset_s: offset }) =>
      x >= this.x(onset * 1e9) - 6 && x <= this.x(offset * 1e9) + 6;
    return this.events.find(covers) ?? null;
  }

  // Seconds at a mouse position.
  time(clientX) {
    const { left } = this.canvas.getBoundingClientRect();
    const share = (clientX - left - GUTTER) / (this.width - GUTTER - EDGE);
    return (this.from + share * this.span) / 1e9;
  }

  redraw() {
    if (this.asked) return;
    this.asked = true;
    const drawing = () => {
      this.asked = false;
      this.drawnAt = performance.now();
      this.draw();
    };
    const wait = Math.max(0, this.drawnAt + DRAW_MS - performance.now());
    setTimeout(() => requestAnimationFrame(drawing), wait);
  }

  x(ns) { return GUTTER + ((ns - this.from) / this.span) * (this.width - GUTTER - EDGE); }

  draw() {
    const { clientWidth, clientHeight } = this.canvas, scale = devicePixelRatio || 1;
    if (!clientWidth) return;
    const width = Math.round(clientWidth * scale), height = Math.round(clientHeight * scale);
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
    }
    const css = getComputedStyle(this.canvas);
    this.color = (name) => css.getPropertyValue(name).trim();
    this.pen = this.canvas.getContext("2d");
    this.pen.setTransform(scale, 0, 0, scale, 0, 0);
    this.pen.clearRect(0, 0, clientWidth, clientHeight);
    this.pen.font = `${LINE}px system-ui, sans-serif`;
    this.width = clientWidth;
    this.span = this.seconds ? this.seconds * 1e9 : Math.max(this.nowNs, 1e9);
    this.from = this.seconds ? this.nowNs - this.span : 0;
    const room = clientHeight - AXIS - 2 * GAP;
    let top = 0;
    const lanes = SHARE.map((share) => {
      const lane = { top, high: share * room };
      top += lane.high + GAP;
      return lane;
    });
    for (const lane of lanes) {
      this.pen.fillStyle = this.color("--ms-lane");
      this.pen.fillRect(GUTTER, lane.top, this.width - GUTTER - EDGE, lane.high);
    }
    this.names(lanes);
    this.axis(clientHeight);
    if (!this.spec) return;
    this.heat(lanes[1]);
    this.curve(lanes[0]);
    this.intervals(lanes[2]);
  }

  names([scores, heat, events]) {
    this.pen.fillStyle = this.color("--ms-dim");
    this.pen.textAlign = "right";
    this.pen.fillText("score", GUTTER - 8, scores.top + scores.high / 2 + 4);
    this.pen.fillText("events", GUTTER - 8, events.top + events.high / 2 + 4);
    const windows = this.spec?.windows_ms ?? [];
    const all = heat.high >= LINE * windows.length; // else the shortest and the longest
    windows.forEach((ms, row) => {
      if (!all && row > 0 && row < windows.length - 1) return;
      const middle = heat.top + (heat.high * (row + 0.5)) / windows.length;
      this.pen.fillText(`${ms} ms`, GUTTER - 8, middle + 4);
    });
  }

  axis(high) {
    this.pen.fillStyle = this.color("--ms-dim");
    const seconds = this.span / 1e9, most = this.width < 500 ? 4 : 10;
    const step = STEPS_S.find((s) => seconds / s <= most) ?? STEPS_S.at(-1);
    for (let s = 0; s <= seconds + 1e-6; s += step) {
      const at = this.seconds ? this.nowNs - s * 1e9 : s * 1e9, x = this.x(at);
      this.pen.textAlign = x > this.width - 30 ? "right" : x < GUTTER + 12 ? "left" : "center";
      this.pen.fillText(this.seconds ? (s ? `−${s} s` : "now") : `${s} s`, x, high - 4);
    }
  }

  heat(lane) {
    const rows = this.spec.windows_ms.length;
    const pairs = Math.round((this.span / 1e9) * this.spec.grid_hz / 2);
    const wide = Math.max(1, Math.min(1200, pairs));
    const image = new ImageData(wide, rows);
    for (const { ns, bytes } of this.columns) {
      const x = Math.floor(((ns - this.from) / this.span) * wide);
      if (x < 0 || x >= wide) continue;
      for (let row = 0; row < rows; row++) {
        const value = bytes[row], at = 4 * (row * wide + x);
        const alpha = value === NONE ? 0 : Math.min(255, 25 + value * 2);
        if (value === NONE || alpha < image.data[at + 3]) continue;
        const level = Math.floor((value / 255) * CIVIDIS.length);
        const shade = CIVIDIS[Math.min(CIVIDIS.length - 1, level)];
        image.data.set([...shade, alpha], at);
      }
    }
    this.strip.width = wide;
    this.strip.height = rows;
    this.strip.getContext("2d").putImageData(image, 0, 0);
    this.pen.imageSmoothingEnabled = false;
    this.pen.drawImage(this.strip, GUTTER, lane.top, this.width - GUTTER - EDGE, lane.high);
  }

  curve(lane) {
    const y = (value) => lane.top + 3 + (1 - value) * (lane.high - 6);
    const gap = 2.5e9 / this.spec.grid_hz;
    this.pen.strokeStyle = this.color("--ms-dim");
    this.pen.setLineDash([4, 4]);
    this.pen.beginPath();
    this.pen.moveTo(GUTTER, y(this.spec.t_crn));
    this.pen.lineTo(this.width - EDGE, y(this.spec.t_crn));
    this.pen.stroke();
    this.pen.setLineDash([]);
    this.pen.strokeStyle = this.color("--ms-line");
    this.pen.fillStyle = this.color("--ms-ink");
    this.pen.lineWidth = 1.4;
    this.pen.beginPath();
    let last = -Infinity;
    for (const { ns, bytes } of this.columns) {
      if (ns < this.from) continue;
      let best = -1;
      for (const value of bytes.subarray(0, -1)) if (value !== NONE) best = Math.max(best, value);
      if (best < 0) continue;
      this.pen[ns - last > gap ? "moveTo" : "lineTo"](this.x(ns), y(best / 254));
      last = ns;
    }
    this.pen.stroke();
    for (const { ns, bytes } of this.columns) {
      const refined = bytes.at(-1);
      if (refined === NONE || ns < this.from) continue;
      this.pen.beginPath();
      this.pen.arc(this.x(ns), y(refined / 254), 2, 0, 7);
      this.pen.fill();
    }
  }

  intervals(lane) {
    const middle = lane.top + lane.high / 2, half = Math.min(13, lane.high / 2 - 2);
    let free = GUTTER;
    for (const event of this.events) {
      const x0 = Math.max(GUTTER, this.x(event.onset_s * 1e9));
      const x1 = Math.max(x0 + 4, this.x(event.offset_s * 1e9));
      if (x1 <= GUTTER + 4) continue;
      this.pen.fillStyle = this.pen.strokeStyle = this.color(tint(event, this.spec.labels));
      this.pen.lineWidth = 2;
      this.interval(event, x0, x1, middle - half, middle + half);
      const words = event.caption, wide = this.pen.measureText(words).width;
      const next = this.events[this.events.indexOf(event) + 1];
      const limit = next ? this.x(next.onset_s * 1e9) - 4 : this.width - EDGE;
      if (x1 + 5 < free || x1 + 5 + wide > limit) continue;
      this.pen.fillStyle = this.color("--ms-ink");
      this.pen.textAlign = "left";
      this.pen.fillText(words, x1 + 5, middle + 4);
      free = x1 + 5 + wide;
    }
  }

  // Hollow while provisional; pale with the intensity from onset to offset in it, or full where
  // there is none.
  interval(event, x0, x1, top, bottom) {
    const shares = levels(event), step = (x1 - x0) / (shares.length - 1);
    this.pen.beginPath();
    this.pen.roundRect(x0, top, x1 - x0, bottom - top, 3);
    if (event.status !== "final") return this.pen.stroke();
    this.pen.globalAlpha = shares.length ? PALE : 1;
    this.pen.fill();
    this.pen.globalAlpha = 1;
    this.pen.beginPath();
    this.pen.moveTo(x0, bottom);
    shares.forEach((share, i) => this.pen.lineTo(x0 + i * step, bottom - share * (bottom - top)));
    this.pen.lineTo(x1, bottom);
    return this.pen.fill();
  }
}
