// The overlay for a stream (OBS): events of a source of the server as they happen, and nothing else.
// The page's address says which source: /demo/overlay?source=0, as the Camera tab counts them.

import { tint } from "./events.js";
import { connect, waiting } from "./socket.js";

const SHOWN_MS = 6000; // from what was last said of an event until it fades
const FADE_MS = 1000; // as the page's style has it
const MOST_SHOWN = 4;
const RETRY_MS = 3000; // until a connection that ended is made anew
const AWAY = ["connecting", "lost"]; // states of a source that gives nothing

class Overlay {
  constructor(source) {
    this.list = document.querySelector(".ms-now");
    this.note = document.querySelector(".ms-note");
    this.source = source;
    this.timers = new Map(); // of the items that are shown, by id of their events
    this.begin({ labels: [] });
    this.start();
  }

  start() {
    this.failure = "No connection to microspot: trying again.";
    connect(`camera?source=${encodeURIComponent(this.source)}&pictures=0`, {
      message: (message) => this.receive(message),
      closed: () => this.end(),
    });
  }

  end() {
    this.say(this.failure);
    setTimeout(() => this.start(), RETRY_MS);
  }

  receive(message) {
    if (message.type === "start") this.begin(message);
    else if (message.type === "event") this.event(message);
    else if (message.type === "queue") this.say(waiting(message));
    else if (message.type === "error") this.failure = message.message;
    else if (message.type === "state") this.state(message);
  }

  begin({ labels }) {
    this.labels = labels;
    for (const id of this.timers.keys()) this.remove(id);
    this.say("");
  }

  state({ state, detail }) { this.say(AWAY.includes(state) ? `${state} ${detail}` : ""); }

  say(words) { this.note.hidden = !words; this.note.textContent = words; }

  // The newest record of an event takes the place of those before; a withdrawn one goes at once.
  event(event) {
    this.remove(event.id);
    if (event.status === "withdrawn") return;
    const item = document.createElement("li"), more = document.createElement("small");
    const score = event.status === "final" ? `score ${event.score.toFixed(2)}` : "";
    item.dataset.id = event.id;
    item.dataset.status = event.status;
    item.style.color = `var(${tint(event, this.labels)})`;
    more.textContent = [score, event.beside].filter(Boolean).join(", ");
    item.append(event.caption, more);
    this.list.prepend(item);
    this.timers.set(event.id, setTimeout(() => this.fade(event.id), SHOWN_MS));
    while (this.list.children.length > MOST_SHOWN) this.remove(this.list.lastChild.dataset.id);
  }

  fade(id) {
    this.item(id).classList.add("ms-fading");
    this.timers.set(id, setTimeout(() => this.remove(id), FADE_MS));
  }

  remove(id) {
    clearTimeout(this.timers.get(id));
    this.timers.delete(id);
    this.item(id)?.remove();
  }

  item(id) { return [...this.list.children].find((item) => item.dataset.id === id); }
}

const source = new URLSearchParams(location.search).get("source") ?? "0";
window.microspot = { overlay: new Overlay(source) };
