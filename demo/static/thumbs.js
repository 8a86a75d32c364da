// Small pictures of the face in the last frames, in memory only, so that an event that is decided a
// second later can show its apex. One canvas holds them all, a slot per frame; old ones are painted
// over.

const SIDE = 96, ACROSS = 20, DOWN = 18;
const MARGIN = 1.15; // of the face's size

export class Thumbs {
  constructor() {
    this.sheet = new OffscreenCanvas(SIDE * ACROSS, SIDE * DOWN);
    this.pen = this.sheet.getContext("2d");
    this.frames = new Array(ACROSS * DOWN).fill(-1); // frame index per slot
  }

  // Keep the face (outline: [[x, y], ...] in picture pixels) of a frame.
  keep(index, picture, outline) {
    if (!outline.length) return;
    const xs = outline.map((p) => p[0]), ys = outline.map((p) => p[1]);
    const left = Math.min(...xs), right = Math.max(...xs);
    const top = Math.min(...ys), bottom = Math.max(...ys);
    const side = MARGIN * Math.max(right - left, bottom - top);
    const slot = index % this.frames.length;
    const x = (left + right - side) / 2, y = (top + bottom - side) / 2;
    this.pen.clearRect(...place(slot));
    this.pen.drawImage(picture, x, y, side, side, ...place(slot));
    this.frames[slot] = index;
  }

  // A canvas with the frame nearest to `index` that is still there; blank where none is near.
  show(index) {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = SIDE;
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", "the face at the apex");
    for (const near of [0, -1, 1, -2, 2, -3, 3]) {
      const slot = (index + near) % this.frames.length;
      if (index + near < 0 || this.frames[slot] !== index + near) continue;
      canvas.getContext("2d").drawImage(this.sheet, ...place(slot), 0, 0, SIDE, SIDE);
      break;
    }
    return canvas;
  }
}

// x, y, width and height of a slot.
function place(slot) {
  return [SIDE * (slot % ACROSS), SIDE * Math.floor(slot / ACROSS), SIDE, SIDE];
}
