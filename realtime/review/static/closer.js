// A closer look at an event: its face alone, and its movement magnified. The server makes both.

const WHOLE = [0, 0, 1, 1];

// Where the face of each event is: asked once.
class FaceBoxes {
  #boxes = new Map(); // "folder/event" to a promise

  of({ video, event }) {
    const name = `${video}/${event}`;
    if (!this.#boxes.has(name)) {
      const asked = ask(`face?${new URLSearchParams({ video, event })}`).then((answer) => answer.json());
      asked.catch(() => this.#boxes.delete(name));
      this.#boxes.set(name, asked);
    }
    return this.#boxes.get(name);
  }
}

// The loop of an event beside the same magnified, in place of the picture.
class Replay {
  shown = false;
  gain = 0;
  limits = null; // least and most gain, and how many times as slow it is shown
  #entry = null;
  #asked = null; // what aborts the request under way
  #stopped = Promise.resolve(); // the server has given up what was not wanted any more
  #address = "";

  constructor(figure, changed) {
    this.figure = figure;
    this.image = figure.querySelector("img");
    this.words = figure.querySelector("figcaption");
    this.changed = changed;
  }

  allow(limits) {
    this.limits = limits;
    this.gain ||= limits.gain;
  }

  async show(entry) {
    this.#asked?.abort();
    const asked = new AbortController();
    this.#asked = asked;
    this.#entry = entry;
    this.#set(true, `movement ${this.gain}× as large is being made …`);
    await this.#stopped;
    try {
      const query = new URLSearchParams({ video: entry.video, event: entry.event, gain: this.gain });
      const loop = await (await ask(`replay?${query}`, undefined, asked.signal)).blob();
      if (asked !== this.#asked) return;
      this.#asked = null;
      if (!loop.size) this.hide(); // given up, by another window
      else this.#play(loop);
    } catch (error) {
      if (asked !== this.#asked) return;
      this.#asked = null;
      this.#set(true, error.message);
    }
  }

  hide() {
    if (!this.shown) return;
    if (this.#asked) {
      this.#asked.abort();
      this.#stopped = ask("replay/stop", {}).catch(() => {});
    }
    this.#asked = null;
    this.#set(false, "");
  }

  toggle(entry) {
    if (this.shown) this.hide();
    else this.show(entry);
  }

  changeGain(by) {
    const { least, most } = this.limits;
    const gain = Math.max(least, Math.min(most, this.gain + by));
    if (gain === this.gain) return;
    this.gain = gain;
    this.show(this.#entry);
  }

  #play(loop) {
    const { gain, limits } = this;
    this.#set(true, `as it was, and movement since the onset ${gain}× as large; ${limits.slowed} times as slow`);
    this.#address = URL.createObjectURL(loop);
    this.image.src = this.#address;
    this.image.hidden = false;
  }

  #set(shown, words) {
    this.shown = shown;
    this.figure.hidden = !shown;
    this.words.textContent = words;
    this.image.hidden = true;
    this.image.removeAttribute("src");
    URL.revokeObjectURL(this.#address);
    this.changed();
  }
}

// From the whole frame to the face, and from whatever is enlarged to the whole frame.
function toggleFace() {
  if (saysEmpty()) return;
  review.onFace = player.zoom === 1;
  find("#told").textContent = "";
  if (review.onFace) showFace();
  else player.enlarge(WHOLE);
}

async function showFace() {
  if (current().empty) return player.enlarge(WHOLE);
  const { video, event } = current();
  const stillWanted = () => review.onFace && current().video === video && current().event === event;
  try {
    const box = await faces.of({ video, event });
    if (stillWanted()) player.enlarge(box);
  } catch (error) {
    if (!stillWanted()) return;
    player.enlarge(WHOLE);
    find("#told").textContent = error.message;
  }
}

function changePace(by) {
  if (replay.shown) replay.changeGain(by);
  else player.changeSpeed(by);
}

function magnify() {
  if (saysEmpty()) return;
  player.looping = false;
  replay.toggle(current());
}
