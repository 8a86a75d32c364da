// Events as the page knows them, and their colours. How one is worded, `caption`, its record says.

export class Events {
  constructor() { this.clear(); }

  clear() { this.byId = new Map(); }

  // Keep the newest record of an event; withdrawn ones go.
  take(event) {
    if (event.status === "withdrawn") this.byId.delete(event.id);
    else this.byId.set(event.id, event);
  }

  // Every event, by onset.
  sorted() { return [...this.byId.values()].sort((a, b) => a.onset_s - b.onset_s); }
}

export function length(event) {
  return `${Math.round(1000 * (event.offset_s - event.onset_s))} ms`;
}

// The CSS variable of an event's colour: yellow while provisional, then by the label's place in the
// label set.
export function tint(event, labels) {
  if (event.status !== "final") return "--ms-pending";
  const place = labels.indexOf(event.label);
  return place < 0 ? "--ms-unsure" : `--ms-label-${place % 5}`;
}

// The intensity from onset to offset, each value as a share of the strongest; empty where there is
// none to draw.
export function levels(event) {
  const values = event.intensity ?? [], low = Math.min(0, ...values);
  const span = Math.max(...values) - low || 1;
  return values.length > 1 ? values.map((value) => (value - low) / span) : [];
}

// The same as a small drawing.
export function curve(event, width = 72, height = 28) {
  const shares = levels(event);
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("width", width);
  svg.setAttribute("height", height);
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", "intensity from onset to offset");
  if (shares.length) {
    const x = (i) => (width * i) / (shares.length - 1);
    const y = (share) => height - 2 - (height - 4) * share;
    const points = shares.map((share, i) => `${x(i)},${y(share)}`);
    const line = document.createElementNS(svg.namespaceURI, "polyline");
    line.setAttribute("points", points.join(" "));
    line.setAttribute("fill", "none");
    line.setAttribute("stroke", "currentColor");
    line.setAttribute("stroke-width", 2);
    svg.append(line);
  }
  return svg;
}
