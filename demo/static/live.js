// The Live tab: the page's camera goes to the server; what was found is drawn onto its own frame.

import { Capture } from "./capture.js";
import { Counters } from "./counters.js";
import { connect, waiting } from "./socket.js";
import { View } from "./view.js";

const QUALITY = 0.92; // of the JPEG: compression must not look like motion
const ANSWER_MS = 2000; // a frame unanswered for longer is given up
const SETTLE_MS = 500; // after the last move of the threshold: every new one begins a new run
const HEAD = 16; // bytes before the JPEG, see demo/views/wire.py
const READY = "Press “Start camera”. No camera? The Camera tab shows samples.";

export function mount(root) {
  const live = new Live(root);
  window.microspot = { ...window.microspot, live: live.counters };
}

class Live {
  constructor(root) {
    this.view = new View(root);
    this.counters = new Counters();
    this.button = root.querySelector("[data-do=start]");
    this.cameras = root.querySelector("[data-set=camera]");
    this.note = root.querySelector(".ms-note");
    // Unanswered frames at most.
    this.inFlight = Number(root.querySelector("[data-in-flight]").dataset.inFlight);
    this.spare = []; // pictures to draw the next frames into
    const mirror = root.querySelector("[data-set=mirror]");
    const threshold = root.querySelector("[data-set=threshold]");
    this.threshold = null; // the server's own
    // What a start began, until a stop or the next start: what comes late belongs to another turn.
    this.turn = null;
    this.button.onclick = () => (this.turn ? this.stop("") : this.start());
    this.cameras.onchange = () => this.turn && this.start();
    mirror.onchange = () => { this.view.mirror = mirror.checked; };
    threshold.oninput = () => {
      threshold.nextElementSibling.textContent = Number(threshold.value).toFixed(2);
    };
    threshold.onchange = () => {
      this.threshold = Number(threshold.value);
      this.settleThreshold();
    };
    this.view.mirror = mirror.checked;
    this.view.clear(READY);
    addEventListener("pagehide", () => this.stop(""));
  }

  async start() {
    this.stop("");
    const turn = this.turn = {};
    this.button.textContent = "Stop";
    this.view.clear("Waiting for the camera");
    this.view.say("Opening the camera");
    this.counters.clear();
    this.pending = new Map(); // seq -> {image, taken}, image an OffscreenCanvas
    this.seq = 0;
    this.order = Promise.resolve();
    let capture = null, failure = "";
    try {
      capture = await Capture.open(this.cameras.value);
    } catch (error) {
      failure = error.message;
    }
    if (this.turn !== turn) return capture?.close();
    if (!capture) return this.stop(failure);
    this.capture = capture;
    capture.lost = () => this.turn === turn && this.stop("The camera was disconnected.");
    capture.each((video, taken) => this.grab(video, taken));
    this.list();
    this.socket = connect("live", {
      message: (message) => this.turn === turn && this.receive(message),
      closed: (why) => this.turn === turn && this.stop(why),
    });
    return undefined;
  }

  stop(why) {
    this.turn = null;
    this.started = false;
    this.capture?.close();
    this.socket?.close();
    this.pending?.clear();
    [this.capture, this.socket] = [null, null];
    this.button.textContent = "Start camera";
    this.view.stop();
    this.say(why);
  }

  say(words) { this.note.hidden = !words; this.note.textContent = words; }

  settleThreshold() {
    clearTimeout(this.settling);
    this.settling = setTimeout(() => {
      if (this.started) this.socket.sendJson({ type: "threshold", value: this.threshold });
    }, SETTLE_MS);
  }

  // Cameras have names only once one was allowed.
  async list() {
    const chosen = this.cameras.value, options = [new Option("default", "")];
    for (const [i, camera] of (await Capture.cameras()).entries()) {
      options.push(new Option(camera.label || `camera ${i + 1}`, camera.deviceId));
    }
    this.cameras.replaceChildren(...options);
    this.cameras.value = options.some((o) => o.value === chosen) ? chosen : "";
  }

  receive(message) {
    if (message.type === "frame") this.answer(message);
    else if (message.type === "refused") this.refused(message);
    else if (message.type === "event") this.view.event(message);
    else if (message.type === "queue") this.say(waiting(message));
    else if (message.type === "note") this.say(message.message);
    else if (message.type === "start") this.begin(message);
  }

  begin(spec) {
    this.started = true;
    this.view.begin(spec);
    this.say("");
    if (this.threshold !== null && this.threshold !== spec.t_crn) this.settleThreshold();
  }

  // A frame of the camera: on its way at once, or skipped while too many are unanswered.
  grab(video, taken) {
    this.giveUp();
    if (!this.started || !this.socket.open()) return;
    if (this.pending.size >= this.inFlight) { this.counters.skipped++; return; }
    const { videoWidth: wide, videoHeight: high } = video, seq = this.seq++;
    const image = this.spare.pop() ?? new OffscreenCanvas(wide, high), entry = { image, taken };
    if (image.width !== wide || image.height !== high) [image.width, image.height] = [wide, high];
    image.getContext("2d", { alpha: false, willReadFrequently: true }).drawImage(video, 0, 0);
    this.pending.set(seq, entry);
    // Of a copy: the picture may be painted over meanwhile.
    const encoded = image.convertToBlob({ type: "image/jpeg", quality: QUALITY })
      .then((blob) => blob.arrayBuffer());
    this.order = this.order.then(async () => { // in order, however long each JPEG takes
      const jpeg = await encoded;
      if (this.pending.get(seq) !== entry) return;
      const message = new Uint8Array(HEAD + jpeg.byteLength), head = new DataView(message.buffer);
      head.setBigUint64(0, BigInt(Math.round(taken * 1000)), true);
      head.setUint32(8, seq, true);
      message.set(new Uint8Array(jpeg), HEAD);
      this.socket?.send(message);
      this.counters.sent++;
    });
  }

  answer(message) {
    const entry = this.settle(message.seq);
    if (!entry) return;
    this.view.frame(entry.image, message, entry.image.width);
    this.counters.scored(message.ns, performance.now() - entry.taken);
    this.view.measure(this.counters.hz(), this.counters.answered, this.counters.lag());
  }

  refused({ seq, reason }) {
    if (seq === null) return this.settleThreshold(); // no frame: it came too soon after another
    this.counters.refused++;
    this.counters.reasons[reason] = (this.counters.reasons[reason] ?? 0) + 1;
    this.settle(seq);
    return undefined;
  }

  giveUp() {
    const late = performance.now() - ANSWER_MS;
    for (const [seq, { taken }] of this.pending) {
      if (taken >= late) continue;
      this.settle(seq);
      this.counters.lost++;
    }
  }

  // A frame is no longer waited for; its picture may be painted over once the caller has drawn it.
  settle(seq) {
    const entry = this.pending.get(seq);
    this.pending.delete(seq);
    if (entry) this.spare.push(entry.image);
    return entry;
  }
}
