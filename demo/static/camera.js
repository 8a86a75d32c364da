// The Camera tab: a source of the server. Pictures come with what was found in them; each is
// acknowledged when drawn.

import { connect, unpack, waiting } from "./socket.js";
import { View } from "./view.js";

const READY = "Press “Watch”.";

export function mount(root) { new Camera(root); }

class Camera {
  constructor(root) {
    this.view = new View(root);
    this.button = root.querySelector("[data-do=start]");
    this.source = root.querySelector("[data-set=source]");
    this.note = root.querySelector(".ms-note");
    this.button.onclick = () => (this.socket ? this.stop("") : this.start());
    this.source.onchange = () => this.socket && this.start();
    this.view.facts.lag.previousElementSibling.textContent = "Time to score a frame";
    this.view.clear(READY);
    addEventListener("pagehide", () => this.stop(""));
  }

  start() {
    this.stop("");
    this.button.textContent = "Stop";
    this.view.clear("Opening the source");
    this.view.say("Opening");
    const socket = connect(`camera?source=${this.source.value}`, {
      message: (message) => this.receive(message),
      binary: (data) => this.show(socket, data),
      closed: (why) => this.socket === socket && this.stop(why),
    });
    this.socket = socket;
  }

  stop(why) {
    const { socket } = this;
    this.socket = null;
    socket?.close();
    this.button.textContent = "Watch";
    this.view.stop();
    this.say(why);
  }

  say(words) { this.note.hidden = !words; this.note.textContent = words; }

  receive(message) {
    if (message.type === "start") this.begin(message);
    else if (message.type === "event") this.view.event(message);
    else if (message.type === "queue") this.say(waiting(message));
    else if (message.type === "error") this.stop(message.message);
    else if (message.type === "note") this.say(message.message);
    else if (message.type === "warning") this.say(message.detail);
    else if (message.type === "state") this.state(message);
  }

  begin(spec) {
    this.run = spec;
    this.view.clear("");
    this.view.begin(spec);
    this.say("");
  }

  state({ state, detail }) { this.say(state === "live" ? "" : `${state} ${detail}`); }

  async show(socket, data) {
    const { run } = this, { head, jpeg } = unpack(data), image = await createImageBitmap(jpeg);
    // A recording that begins again shows no picture of its end.
    if (this.socket === socket && this.run === run) {
      this.view.frame(image, head, head.width);
      this.view.measure(head.hz, head.scored, head.faces[0]?.latency_ms ?? 0);
    }
    image.close();
    socket.sendJson({ type: "seen" });
  }
}
