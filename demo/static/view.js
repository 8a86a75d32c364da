// What Live and Camera share: the picture with its overlay, the facts, the timeline, the events.

import { Events, curve, length, tint } from "./events.js";
import { Thumbs } from "./thumbs.js";
import { Timeline } from "./timeline.js";

const SECONDS = 20; // of the timeline
const LISTED = 50; // events
const NAMED_S = 2; // how long after its end an event is named beside the face
const FACTS_MS = 500;
const STALE_MS = 2000; // without a frame, the rate is no longer the one that was measured

const LEVELS = { // of the frame rate
  good: "good",
  low: "lower than trained for",
  bad: "too low: micro-expressions are missed",
};

function sentence(words) { return words[0].toUpperCase() + words.slice(1); }

export class View {
  constructor(root) {
    const find = (name) => root.querySelector(name);
    this.picture = find(".ms-picture");
    this.pen = this.picture.getContext("2d");
    this.hint = find(".ms-hint");
    this.status = find(".ms-status");
    this.badge = find(".ms-badge");
    this.arrows = find("[data-set=arrows]");
    this.list = find(".ms-events");
    this.empty = find(".ms-empty");
    this.facts = {};
    for (const fact of root.querySelectorAll("[data-fact]")) this.facts[fact.dataset.fact] = fact;
    this.timeline = new Timeline(find(".ms-timeline"), SECONDS);
    this.events = new Events();
    this.mirror = false;
    this.clear("");
    setInterval(() => this.stale(), FACTS_MS);
  }

  // Back to the beginning, with a word on the empty stage.
  clear(hint) {
    this.events.clear();
    this.thumbs = new Thumbs();
    this.timeline.clear();
    this.list.replaceChildren();
    this.empty.hidden = false;
    this.badge.hidden = true;
    this.pen.clearRect(0, 0, this.picture.width, this.picture.height);
    this.hint.textContent = hint;
    this.updatedAt = 0;
  }

  // The last picture and the events stay; what was true only then goes.
  stop() {
    this.say("Stopped");
    this.badge.hidden = true;
  }

  say(words) { if (this.status.textContent !== words) this.status.textContent = words; }

  begin(spec) {
    this.spec = spec;
    this.timeline.begin(spec);
    this.say("Looking for a face");
  }

  // An event of any status. Final ones enter the list with the face at their apex.
  event(event) {
    const known = this.events.byId.get(event.id);
    this.events.take(event);
    this.timeline.show(this.events.sorted());
    if (event.status === "final" && known?.status !== "final") this.enlist(event);
  }

  enlist(event) {
    const item = document.createElement("li"), words = document.createElement("div");
    const name = document.createElement("b"), dot = document.createElement("span");
    const when = document.createElement("small");
    dot.className = "ms-dot";
    dot.dataset.final = "";
    dot.style.color = `var(${tint(event, this.spec.labels)})`;
    name.append(dot, event.caption);
    const beside = event.beside ? `, with ${event.beside}` : "";
    when.textContent = `at ${event.onset_s.toFixed(2)} s, ${length(event)} long${beside}`;
    words.append(name, when);
    item.dataset.id = event.id;
    item.append(this.thumbs.show(event.apex_frame ?? event.onset_frame), words, curve(event));
    this.list.prepend(item);
    while (this.list.children.length > LISTED) this.list.lastChild.remove();
    this.empty.hidden = true;
  }

  // A frame (anything that drawImage takes, `wide` pixels wide for the server), and what was found.
  frame(image, { ns, index, faces }, wide) {
    const scale = image.width / wide, face = faces[0];
    this.resize(image.width, image.height);
    this.hint.textContent = "";
    this.pen.setTransform(this.mirror ? -1 : 1, 0, 0, 1, this.mirror ? image.width : 0, 0);
    this.pen.drawImage(image, 0, 0);
    this.timeline.now(ns);
    if (!face) return this.say("No face in view");
    const outline = face.outline.map(([x, y]) => [x * scale, y * scale]);
    const seen = ns - face.now_ns < 5e8;
    if (seen) this.thumbs.keep(index, image, outline);
    const named = this.events.sorted().filter((e) => ns / 1e9 - e.offset_s < NAMED_S).at(-1);
    if (seen && named) this.moved(face, scale, named);
    if (seen) this.outline(outline, named);
    this.timeline.take(face.now_ns, face.columns);
    if (named) this.say(named.caption);
    else if (face.note) this.say(sentence(face.note));
    else if (seen) this.say(face.threshold ? sentence(face.threshold) : "Watching");
    else this.say("No face in view");
    this.facts.quality.textContent = seen ? face.quality.toFixed(2) : "–";
    this.facts.moves.parentElement.hidden = !face.moves; // not every set of weights says it
    this.facts.moves.textContent = seen ? face.moves : "–";
    return undefined;
  }

  // Setting the size of a canvas clears it, so it is set only where it changes.
  resize(width, height) {
    if (this.picture.width === width && this.picture.height === height) return;
    this.picture.width = width;
    this.picture.height = height;
  }

  // Where the event moved, and on request how far each part of the face went.
  moved({ region, arrows }, scale, named) {
    this.pen.lineWidth = Math.max(1.5, this.picture.width / 400);
    this.pen.strokeStyle = this.color(named);
    for (const polygon of region) {
      this.pen.beginPath();
      for (const [x, y] of polygon) this.pen.lineTo(x * scale, y * scale);
      this.pen.closePath();
      this.pen.stroke();
    }
    if (!this.arrows.checked) return;
    this.pen.strokeStyle = "#ffffff";
    for (const [x, y, u, v] of arrows.map((arrow) => arrow.map((px) => px * scale))) {
      const turn = Math.atan2(v - y, u - x), head = 0.3 * Math.hypot(u - x, v - y);
      this.pen.beginPath();
      this.pen.moveTo(x, y);
      this.pen.lineTo(u, v);
      for (const side of [-0.5, 0.5]) {
        this.pen.moveTo(u, v);
        this.pen.lineTo(u - head * Math.cos(turn + side), v - head * Math.sin(turn + side));
      }
      this.pen.stroke();
    }
  }

  outline(points, named) {
    if (!points.length) return;
    const color = named ? this.color(named) : "#ffffff";
    this.pen.lineWidth = Math.max(1.5, this.picture.width / 400);
    this.pen.strokeStyle = color;
    this.pen.beginPath();
    for (const [x, y] of points) this.pen.lineTo(x, y);
    this.pen.closePath();
    this.pen.stroke();
    if (named) this.tag(points, named.caption, color);
  }

  color(event) {
    return getComputedStyle(this.picture).getPropertyValue(tint(event, this.spec.labels));
  }

  // The event's name above the face, readable also in a mirror.
  tag(points, words, color) {
    const xs = points.map((p) => (this.mirror ? this.picture.width - p[0] : p[0]));
    const top = Math.min(...points.map((p) => p[1]));
    const size = Math.max(14, this.picture.width / 32);
    this.pen.setTransform(1, 0, 0, 1, 0, 0);
    this.pen.font = `600 ${size}px system-ui, sans-serif`;
    const wide = this.pen.measureText(words).width + size;
    const middle = (Math.min(...xs) + Math.max(...xs)) / 2;
    const x = Math.min(Math.max(4, middle - wide / 2), this.picture.width - wide - 4);
    const y = Math.max(4, top - 2 * size);
    this.pen.fillStyle = "#14181ce0";
    this.pen.beginPath();
    this.pen.roundRect(x, y, wide, 1.6 * size, 6);
    this.pen.fill();
    this.pen.fillStyle = color;
    this.pen.fillText(words, x + size / 2, y + 1.15 * size);
  }

  // The measured rate beside the trained one, and how far behind the picture is. Called with every
  // frame.
  measure(hz, scored, lagMs) {
    const now = this.measuredAt = performance.now();
    if (!this.spec || now - this.updatedAt < FACTS_MS) return;
    this.updatedAt = now;
    this.facts.scored.textContent = scored;
    this.facts.lag.textContent = lagMs ? `${Math.round(lagMs)} ms` : "–";
    const level = this.level(hz);
    this.badge.hidden = !hz;
    this.badge.dataset.level = level;
    this.badge.textContent = `${hz.toFixed(1)} of ${this.spec.grid_hz} frames/s: ${LEVELS[level]}`;
  }

  level(hz) {
    if (hz < this.spec.low_hz) return "bad";
    return hz < this.spec.grid_hz * (1 - this.spec.rate_tolerance) ? "low" : "good";
  }

  stale() {
    if (this.badge.hidden || performance.now() - this.measuredAt < STALE_MS) return;
    this.badge.dataset.level = "bad";
    this.badge.textContent = `0 of ${this.spec.grid_hz} frames/s: no frame is being scored`;
  }
}
