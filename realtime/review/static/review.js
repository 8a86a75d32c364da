// Keys, buttons and what they do. Every button stands for a key.

const JUMP = 5; // frames, with shift

// waiting: by event, how many of its changes are not yet on the disk
const review = { entries: [], labels: [], videos: new Map(), at: -1, buttons: [], waiting: new Map() };
const pictures = new Pictures();
const player = new Player(find("#canvas"), pictures, showPlayer);

const current = () => review.entries[review.at];

function complain(words) {
  find("#alert").hidden = !words;
  find("#alert").textContent = words;
}

function showPlayer() {
  if (!current()) return;
  const { onset } = current().points;
  const shown = player.holding ? onset.frame : player.frame;
  const names = POINTS.filter((name) => current().points[name].frame === shown);
  find("#place").textContent = [`frame ${shown}`, ...names].join(" · ");
  find("#speed").textContent = `${player.speed}×`;
  find("#zoom").textContent = `${player.zoom}×`;
  find("#loop").textContent = player.looping ? "stop" : "loop";
  find("#still").textContent = player.holding ? "back" : "show onset";
  showTrack(player);
}

function showCount() {
  const { entries } = review;
  const count = (verdict) => entries.filter((entry) => entry.verdict === verdict).length;
  const left = count("undecided");
  find("#progress").value = entries.length ? 1 - left / entries.length : 1;
  find("#count").textContent =
    `${review.coder}: ${entries.length - left} of ${entries.length} decided, ✓ ${count("accepted")} ✗ ${count("rejected")}`;
}

function showEntry(index) {
  const entry = review.entries[index];
  showListed(review.buttons[index], entry);
  showCount();
  if (index !== review.at) return;
  showDecision(entry, review.labels);
  player.entry = entry;
  showPlayer();
}

async function choose(index) {
  if (index < 0 || index >= review.entries.length) return;
  document.activeElement?.blur();
  review.buttons[review.at]?.removeAttribute("aria-current");
  review.at = index;
  const entry = current();
  review.buttons[index].setAttribute("aria-current", "true");
  review.buttons[index].scrollIntoView({ block: "nearest" });
  showDecision(entry, review.labels);
  const video = review.videos.get(entry.video);
  try {
    await player.open(video, entry);
    if (entry !== current()) return;
    find("#hint").textContent = "";
    await pictures.prepare(video.folder, ...player.loop);
    prepareNext(index);
  } catch (error) {
    if (entry === current()) find("#hint").textContent = error.message;
  }
}

// Fetch the next event's pictures while this one is looked at.
function prepareNext(index) {
  const next = review.entries[index + 1];
  if (next) pictures.prepare(next.video, next.points.onset.frame, next.points.offset.frame).catch(() => {});
}

function indexOf({ video, event }) {
  return review.entries.findIndex((entry) => entry.video === video && entry.event === event);
}

// Set a field: shown at once, and again as the server has it when it is on the disk.
function change(field, value, shown) {
  const { video, event } = current();
  const index = review.at;
  const name = `${video}/${event}`;
  review.entries[index] = { ...current(), ...shown };
  review.waiting.set(name, (review.waiting.get(name) ?? 0) + 1);
  showEntry(index);
  complain("");
  saver.send(
    "/changes",
    { video, event, field, value },
    (entry) => {
      review.waiting.set(name, review.waiting.get(name) - 1);
      if (review.waiting.get(name)) return; // a later change of it is shown already
      review.entries[index] = entry;
      showEntry(index);
    },
    async (error) => {
      review.waiting.set(name, review.waiting.get(name) - 1);
      complain(`Not saved: ${error.message}`);
      await reload().catch(() => {});
    },
  );
}

function decide(verdict) {
  change("verdict", verdict, { verdict });
  if (verdict === "undecided") return;
  const { entries, at } = review;
  const ahead = [...entries.keys()].map((step) => (at + 1 + step) % entries.length);
  const next = ahead.find((index) => entries[index].verdict === "undecided");
  if (next === undefined) find("#question").textContent = "All events are decided. You may close this page.";
  else choose(next);
}

function setPoint(name) {
  const { points } = current();
  const frame = player.holding ? points.onset.frame : player.frame;
  player.looping = false;
  change(name, frame, { points: { ...points, [name]: { ...points[name], frame } } });
}

function setLabel(number) {
  const label = number === 0 ? "" : review.labels[number - 1];
  if (label !== undefined) change("label", label, { label: label || null });
}

function undo() {
  complain("");
  saver.send(
    "/undo",
    {},
    async (entry) => {
      const index = entry ? indexOf(entry) : -1;
      if (!entry) complain("There is nothing to undo.");
      if (index < 0) return;
      review.entries[index] = entry;
      showEntry(index);
      if (index !== review.at) await choose(index);
    },
    (error) => complain(`Not undone: ${error.message}`),
  );
}

function showSaved() {
  const saved = find("#saved");
  saved.toggleAttribute("data-waiting", saver.waiting > 0);
  saved.toggleAttribute("data-failed", saver.failed);
  if (saver.waiting) saved.textContent = "saving …";
  else saved.textContent = saver.failed ? "✗ not saved" : "✓ everything is saved";
}

const KEYS = {
  a: () => decide("accepted"),
  r: () => decide("rejected"),
  x: () => decide("undecided"),
  o: () => setPoint("onset"),
  p: () => setPoint("apex"),
  f: () => setPoint("offset"),
  u: undo,
  c: () => player.toggleHold(),
  z: () => player.changeZoom(),
  e: () => find("#units").focus(),
  n: () => find("#note").focus(),
  " ": () => player.toggleLoop(),
  "+": () => player.changeSpeed(1),
  "=": () => player.changeSpeed(1),
  "-": () => player.changeSpeed(-1),
  ArrowLeft: (event) => player.step(event?.shiftKey ? -JUMP : -1),
  ArrowRight: (event) => player.step(event?.shiftKey ? JUMP : 1),
  ArrowUp: () => choose(review.at - 1),
  ArrowDown: () => choose(review.at + 1),
};
for (let number = 0; number <= 9; number += 1) KEYS[number] = () => setLabel(number);

addEventListener("keydown", (event) => {
  const typing = event.target.matches?.("input, textarea");
  if (typing && (event.key === "Escape" || (event.key === "Enter" && event.target.id === "units"))) event.target.blur();
  if (typing || event.ctrlKey || event.metaKey || event.altKey || !current()) return;
  const action = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!action) return;
  event.preventDefault();
  action(event);
});

for (const button of document.querySelectorAll("button[data-key]")) {
  button.addEventListener("click", () => {
    button.blur(); // the space bar is for the loop
    if (current()) KEYS[button.dataset.key]();
  });
}

find("#units").addEventListener("change", ({ target }) => {
  change("action_units", target.value, { units: target.value.split(/\s+/).filter(Boolean) });
});
find("#note").addEventListener("change", ({ target }) => change("note", target.value, { note: target.value }));

find("#track").addEventListener("pointerdown", (event) => {
  if (!current()) return;
  const box = find("#track").getBoundingClientRect();
  const [first, last] = player.range;
  player.step(first + Math.floor(((event.clientX - box.left) / box.width) * (last - first + 1)) - player.frame);
});

function listLabels() {
  const buttons = review.labels.map((label, index) => {
    const button = made("button");
    button.append(made("kbd", "", String(index + 1)), ` ${label}`);
    button.addEventListener("click", () => {
      button.blur();
      setLabel(index + 1);
    });
    return button;
  });
  find("#labels").replaceChildren(...buttons);
}

async function reload() {
  const state = await (await ask("/review")).json();
  Object.assign(review, {
    coder: state.coder,
    labels: state.labels,
    entries: state.events,
    videos: new Map(state.videos.map((video) => [video.folder, video])),
  });
  review.buttons = listEvents(review.entries, review.videos, choose);
  listLabels();
  review.buttons.forEach((button, index) => showListed(button, review.entries[index]));
  showCount();
  if (current()) {
    review.buttons[review.at].setAttribute("aria-current", "true");
    showEntry(review.at);
  }
}

async function begin() {
  saver.changed = showSaved;
  try {
    await reload();
  } catch (error) {
    complain(error.message);
    return;
  }
  showSaved();
  if (!review.entries.length) find("#hint").textContent = "No events were found in these videos.";
  const first = review.entries.findIndex((entry) => entry.verdict === "undecided");
  await choose(Math.max(0, first));
}

begin();
