// Frames by their index: fetched in runs of CHUNK as JPEG, decoded when they are shown.

const CHUNK = 32;
const MOST_CHUNKS = 48;
const MOST_DECODED = 96;

class Pictures {
  #chunks = new Map(); // "folder/number" to a promise of JPEGs by frame; the oldest first
  #decoded = new Map(); // "folder/frame" to a bitmap; the longest unused first

  // The bitmap of a frame; null where the recording has no such frame.
  async get(video, frame) {
    const name = `${video}/${frame}`;
    let bitmap = this.#decoded.get(name);
    if (!bitmap) {
      const jpeg = (await this.load(video, Math.floor(frame / CHUNK))).get(frame);
      if (!jpeg) return null;
      bitmap = await createImageBitmap(jpeg);
    }
    this.#decoded.delete(name);
    this.#decoded.set(name, bitmap);
    if (this.#decoded.size > MOST_DECODED) this.#decoded.delete(this.#decoded.keys().next().value);
    return bitmap;
  }

  // A frame that is decoded already, else undefined.
  ready(video, frame) {
    return this.#decoded.get(`${video}/${frame}`);
  }

  load(video, number) {
    const name = `${video}/${number}`;
    let chunk = this.#chunks.get(name);
    if (!chunk) {
      chunk = this.#fetch(video, number * CHUNK);
      chunk.catch(() => this.#chunks.delete(name));
      this.#chunks.set(name, chunk);
      if (this.#chunks.size > MOST_CHUNKS) this.#chunks.delete(this.#chunks.keys().next().value);
    }
    return chunk;
  }

  // Fetch the frames first to last, one run after the other.
  async prepare(video, first, last) {
    for (let number = Math.floor(first / CHUNK); number <= Math.floor(last / CHUNK); number += 1) {
      await this.load(video, number);
    }
  }

  async #fetch(video, first) {
    const query = new URLSearchParams({ video, first, stop: first + CHUNK });
    const bytes = await (await ask(`frames?${query}`)).arrayBuffer();
    const view = new DataView(bytes);
    const found = new Map();
    for (let at = 0; at < bytes.byteLength; ) {
      const size = view.getUint32(at + 4, true);
      found.set(view.getUint32(at, true), new Blob([bytes.slice(at + 8, at + 8 + size)], { type: "image/jpeg" }));
      at += 8 + size;
    }
    return found;
  }
}
