// The list of events, and the panel of the one that is chosen.

const SIGNS = { undecided: "○", accepted: "✓", rejected: "✗" };
const POINTS = ["onset", "apex", "offset"];

const find = (selector) => document.querySelector(selector);

function made(tag, name, text = "") {
  const element = document.createElement(tag);
  if (name) element.className = name;
  element.textContent = text;
  return element;
}

// minutes:seconds of a time in seconds
function clock(seconds) {
  const whole = Math.floor(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

// A list entry for each event, in order, below the name of its video.
function listEvents(entries, videos, chosen) {
  const list = find("#events");
  list.replaceChildren();
  let folder = null;
  return entries.map((entry, index) => {
    const item = made("li");
    if (entry.video !== folder) {
      folder = entry.video;
      item.append(made("h3", "", videos.get(folder).name));
    }
    const button = made("button");
    button.append(made("span", "sign"), made("span", "name"), made("small", "time"));
    button.addEventListener("click", () => chosen(index));
    item.append(button);
    list.append(item);
    return button;
  });
}

// An event that the spotter missed, as the server has it once it is added.
function missedEvent(video, frame, rate_hz) {
  const unset = { frame: null, spotted: null, at_s: null };
  const onset = { frame, spotted: null, at_s: frame / rate_hz };
  const number = [...crypto.getRandomValues(new Uint8Array(8))];
  return {
    video,
    event: `added-${number.map((byte) => byte.toString(16).padStart(2, "0")).join("")}`,
    added: true,
    verdict: "undecided",
    points: { onset, apex: unset, offset: unset },
    label: null,
    units: null,
    note: "",
    said: [],
    coders: [],
  };
}

// What is listed of a video without an event, so that one may look for some: it cannot be decided.
function emptyPlace(video) {
  return { ...missedEvent(video.folder, 0, video.rate_hz), event: "", empty: true };
}

function showListed(button, entry) {
  if (entry.empty) {
    button.querySelector(".name").textContent = "no event found";
    return;
  }
  button.dataset.verdict = entry.verdict;
  button.setAttribute("aria-label", `${entry.label ?? "event"} at ${clock(entry.points.onset.at_s)}, ${entry.verdict}`);
  button.querySelector(".sign").textContent = SIGNS[entry.verdict];
  const since = entry.added ? ", added" : entry.changed ? ", edited" : "";
  button.querySelector(".name").textContent = (entry.label ?? "event") + since;
  button.querySelector(".time").textContent = clock(entry.points.onset.at_s);
}

function showDecision(entry, labels) {
  find("#picture").dataset.verdict = entry.verdict;
  for (const button of document.querySelectorAll("#verdict button")) {
    button.setAttribute("aria-pressed", button.dataset.verdict === entry.verdict);
  }
  for (const name of POINTS) {
    const { frame, spotted } = entry.points[name];
    const button = find(`[data-point="${name}"]`);
    const same = entry.added || frame === null || frame === spotted;
    const moved = same ? "" : spotted === null ? " set" : signed(frame - spotted);
    button.toggleAttribute("data-moved", moved !== "");
    const missing = entry.added && !entry.empty && name === "offset" ? "to be set" : "none";
    const place = frame === null || entry.empty ? missing : `frame ${frame}`;
    button.querySelector("output").textContent = place + moved;
  }
  document.querySelectorAll("#labels button").forEach((button, index) => {
    button.setAttribute("aria-pressed", labels[index] === entry.label);
  });
  find("#units").value = (entry.units ?? []).map((unit) => unit.replace("AU", "")).join(" ");
  find("#note").value = entry.note;
  const said = entry.added ? ["nothing here" + (entry.empty ? "" : ": a coder added this event")] : entry.said;
  find("#said").replaceChildren(...said.map((line) => made("li", "", line)));
  find("#coders").replaceChildren(...entry.coders.map((line) => made("li", "", line)));
  find("#merging").hidden = !entry.coders.length;
}

function signed(frames) {
  return ` (${frames > 0 ? "+" : "−"}${Math.abs(frames)})`;
}

// The bar below the picture: the event as spotted and as set, its points, and the frame shown.
function showTrack(player) {
  const [first, last] = player.range;
  const share = (frame) => `${(100 * (frame - first)) / (last - first + 1)}%`;
  const middle = (frame) => `${(100 * (frame - first + 0.5)) / (last - first + 1)}%`;
  const { onset, offset } = player.entry.points;
  const lay = (element, from, to) => {
    element.style.left = share(from);
    element.style.right = `calc(100% - ${share(to + 1)})`;
  };
  lay(find("#span"), onset.frame, offset.frame ?? onset.frame);
  find("#span").hidden = Boolean(player.entry.empty);
  find("#spotted").hidden = player.entry.added;
  if (!player.entry.added) lay(find("#spotted"), onset.spotted, offset.spotted);
  find("#now").style.left = middle(player.frame);
  for (const name of POINTS) {
    const mark = find(`[data-mark="${name}"]`);
    const { frame } = player.entry.points[name];
    mark.hidden = frame === null || player.entry.empty;
    if (frame !== null) mark.style.left = middle(frame);
  }
}
