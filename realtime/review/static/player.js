// The picture: one frame, or a loop around the event; enlarged around a point or a part of it.

const AROUND_S = 1; // shown on the track before the onset and after the offset
const MOST_AROUND = 96; // the same in frames, at most
const LOOP_S = 0.4; // looped before the onset and after the offset
const SPEEDS = [0.1, 0.25, 0.5, 1, 2];
const ZOOMS = [1, 2, 4]; // by clicks
const MOST_ZOOM = 16; // of a face

class Player {
  video = null;
  entry = null;
  frame = 0;
  looping = false;
  speed = 0.5;
  zoom = 1;
  holding = false; // the onset is shown instead
  away = null; // the frame around which the track lies, where it is not the event
  #centre = [0.5, 0.5]; // of the enlarged part, as shares of the picture
  #shown = null; // the bitmap on the canvas
  #began = null; // when the loop was at its first frame

  constructor(canvas, pictures, changed) {
    this.canvas = canvas;
    this.pictures = pictures;
    this.changed = changed;
    canvas.addEventListener("click", (event) => this.#enlargeAt(event));
    const step = (now) => {
      if (this.looping) this.#play(now);
      requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  }

  // First and last frame of the event, as it was spotted and as it is set.
  get #span() {
    const points = Object.values(this.entry.points);
    const frames = points.flatMap(({ frame, spotted }) => [frame, spotted]).filter((frame) => frame !== null);
    return [Math.min(...frames), Math.max(...frames)];
  }

  // First and last frame of the track.
  get range() {
    const around = Math.min(MOST_AROUND, Math.ceil(AROUND_S * this.video.rate_hz));
    const [first, last] = this.away === null ? this.#span : [this.away, this.away];
    return [Math.max(0, first - around), Math.min(this.video.frames - 1, last + around)];
  }

  // First and last frame of the loop.
  get loop() {
    const [first, last] = this.range;
    if (this.away !== null) return [first, last];
    const around = Math.ceil(LOOP_S * this.video.rate_hz);
    const { onset, offset } = this.entry.points;
    return [Math.max(first, onset.frame - around), Math.min(last, (offset.frame ?? onset.frame) + around)];
  }

  // The frame that is shown.
  get shown() {
    return this.holding ? this.entry.points.onset.frame : this.frame;
  }

  async open(video, entry) {
    this.video = video;
    this.entry = entry;
    this.holding = false;
    this.away = null;
    this.#began = null;
    this.looping = !matchMedia("(prefers-reduced-motion: reduce)").matches;
    await this.show(entry.points.onset.frame);
  }

  // Show a frame of the track.
  async show(frame) {
    const [first, last] = this.range;
    this.frame = Math.max(first, Math.min(last, frame));
    this.changed();
    const wanted = this.shown;
    const { video } = this;
    const bitmap = await this.pictures.get(video.folder, wanted);
    if (bitmap && video === this.video && wanted === this.shown) this.#draw(bitmap);
  }

  step(frames) {
    this.looping = false;
    return this.show(this.frame + frames);
  }

  // Show another part of the recording, so many seconds on.
  go(seconds) {
    const { frames, rate_hz } = this.video;
    this.looping = false;
    this.holding = false;
    this.away = Math.max(0, Math.min(frames - 1, this.frame + Math.round(seconds * rate_hz)));
    return this.show(this.away);
  }

  // Let the track lie around the event again.
  comeBack() {
    this.away = null;
    this.changed();
  }

  toggleLoop() {
    this.looping = !this.looping;
    this.holding = false;
    this.#began = null;
    this.changed();
  }

  toggleHold() {
    this.holding = !this.holding;
    this.looping = false;
    return this.show(this.frame);
  }

  changeSpeed(by) {
    const at = SPEEDS.indexOf(this.speed) + by;
    this.speed = SPEEDS[Math.max(0, Math.min(SPEEDS.length - 1, at))];
    this.#began = null;
    this.changed();
  }

  // Show a part of the picture as large as it goes: left, top, width and height as shares of it.
  enlarge([left, top, wide, high]) {
    this.#centre = [left + wide / 2, top + high / 2];
    this.zoom = Math.min(MOST_ZOOM, 1 / Math.max(wide, high));
    this.#redraw();
    this.changed();
  }

  #play(now) {
    const [first, last] = this.loop;
    this.#began ??= now;
    const passed = Math.floor(((now - this.#began) / 1000) * this.video.rate_hz * this.speed);
    const frame = first + (passed % (last - first + 1));
    const bitmap = this.pictures.ready(this.video.folder, frame);
    if (!bitmap) this.pictures.get(this.video.folder, frame).catch(() => {});
    if (!bitmap || (frame === this.frame && bitmap === this.#shown)) return;
    this.frame = frame;
    this.#draw(bitmap);
    this.changed();
  }

  #draw(bitmap) {
    this.#shown = bitmap;
    this.#redraw();
  }

  #redraw() {
    const bitmap = this.#shown;
    if (!bitmap) return;
    const { width, height } = bitmap;
    if (this.canvas.width !== width) this.canvas.width = width;
    if (this.canvas.height !== height) this.canvas.height = height;
    const [left, top, wide, high] = this.#part(width, height);
    const pen = this.canvas.getContext("2d");
    pen.imageSmoothingQuality = "high";
    pen.drawImage(bitmap, left, top, wide, high, 0, 0, width, height);
  }

  // Left, top, width and height of the part of a picture that is shown.
  #part(width, height) {
    const wide = width / this.zoom;
    const high = height / this.zoom;
    const [x, y] = this.#centre;
    const left = Math.max(0, Math.min(width - wide, x * width - wide / 2));
    const top = Math.max(0, Math.min(height - high, y * height - high / 2));
    return [left, top, wide, high];
  }

  // A click on the picture enlarges what lies under it, a second one more.
  #enlargeAt(event) {
    const { width, height } = this.canvas;
    const box = this.canvas.getBoundingClientRect();
    const scale = Math.min(box.width / width, box.height / height);
    const x = (event.clientX - box.left - (box.width - width * scale) / 2) / (width * scale);
    const y = (event.clientY - box.top - (box.height - height * scale) / 2) / (height * scale);
    if (x < 0 || y < 0 || x > 1 || y > 1) return;
    const [left, top, wide, high] = this.#part(width, height);
    this.#centre = [(left + x * wide) / width, (top + y * high) / height];
    this.zoom = ZOOMS.find((zoom) => zoom > this.zoom) ?? this.zoom;
    this.#redraw();
    this.changed();
  }
}
