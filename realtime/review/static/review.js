// Keys, buttons and what they do. Every button stands for a key.

const JUMP = 5; // frames, with shift
const FAR = 10; // seconds, with shift

// waiting: by event, how many of its changes are not yet on the disk
const review = { entries: [], labels: [], videos: new Map(), at: -1, buttons: [], waiting: new Map(), onFace: false };
const pictures = new Pictures();
const player = new Player(find("#canvas"), pictures, showPlayer);
const faces = new FaceBoxes();
const replay = new Replay(find("#replay"), showPlayer);

const isLeft = (entry) => entry.verdict === "undecided" && !entry.empty;
const current = () => review.entries[review.at];

function complain(words) {
  find("#alert").hidden = !words;
  find("#alert").textContent = words;
}

function showPlayer() {
  if (!current()) return;
  const names = POINTS.filter((name) => !current().empty && current().points[name].frame === player.shown);
  find("#place").textContent = [`frame ${player.shown}`, ...names].join(" · ");
  find("#speed").textContent = replay.shown ? `${replay.gain}× larger` : `${player.speed}×`;
  find('[data-key="-"]').setAttribute("aria-label", replay.shown ? "less magnified" : "slower");
  find('[data-key="+"]').setAttribute("aria-label", replay.shown ? "more magnified" : "faster");
  find("#magnify").textContent = replay.shown ? "back" : "magnify";
  find("#closer").textContent = player.zoom > 1 ? "whole frame" : "face";
  find("#zoom").textContent = `${Math.round(10 * player.zoom) / 10}×`;
  find("#loop").textContent = player.looping ? "stop" : "loop";
  find("#still").textContent = player.holding ? "back" : "show onset";
  showTrack(player);
}

function showCount() {
  const entries = review.entries.filter((entry) => !entry.empty);
  const count = (verdict) => entries.filter((entry) => entry.verdict === verdict).length;
  const left = count("undecided");
  const done = entries.length > 0 && left === 0;
  find("#question").hidden = done;
  find("#done").hidden = !done;
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
  replay.hide();
  find("#told").textContent = "";
  review.buttons[review.at]?.removeAttribute("aria-current");
  review.at = index;
  const entry = current();
  review.buttons[index].setAttribute("aria-current", "true");
  review.buttons[index].scrollIntoView({ block: "nearest" });
  showDecision(entry, review.labels);
  const video = review.videos.get(entry.video);
  try {
    await player.open(video, entry);
    if (index !== review.at) return; // not the entry, which a change replaces
    find("#hint").textContent = "";
    if (review.onFace) showFace();
    await pictures.prepare(video.folder, ...player.loop);
    prepareNext(index);
  } catch (error) {
    if (index === review.at) find("#hint").textContent = error.message;
  }
}

// Fetch the next event's pictures while this one is looked at.
function prepareNext(index) {
  const next = review.entries[index + 1];
  if (!next) return;
  const { onset, offset } = next.points;
  pictures.prepare(next.video, onset.frame, offset.frame ?? onset.frame).catch(() => {});
  if (review.onFace) faces.of(next).catch(() => {});
}

function indexOf({ video, event }) {
  return review.entries.findIndex((entry) => entry.video === video && entry.event === event);
}

// Whether there is no event here, which is told.
function saysEmpty() {
  if (current().empty) complain("No event was found in this video: go to the onset of one, then N.");
  return Boolean(current().empty);
}

// Set a field: shown at once, and again as the server has it when it is on the disk.
function change(field, value, shown) {
  if (saysEmpty()) return;
  const { video, event } = current();
  const name = `${video}/${event}`;
  review.entries[review.at] = { ...current(), ...shown };
  review.waiting.set(name, (review.waiting.get(name) ?? 0) + 1);
  showEntry(review.at);
  complain("");
  saver.send(
    "changes",
    { video, event, field, value },
    (entry) => {
      review.waiting.set(name, review.waiting.get(name) - 1);
      const index = indexOf(entry); // others may have been added before it
      if (review.waiting.get(name) || index < 0) return; // a later change of it is shown already
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
  if (saysEmpty()) return;
  if (verdict === "accepted" && current().points.offset.frame === null) {
    complain("Set the offset first: go to its frame, then F.");
    return;
  }
  change("verdict", verdict, { verdict });
  if (verdict === "undecided") return;
  const { entries, at } = review;
  const ahead = [...entries.keys()].map((step) => (at + 1 + step) % entries.length);
  const next = ahead.find((index) => isLeft(entries[index]));
  if (next !== undefined) choose(next);
}

function setPoint(name) {
  const { points } = current();
  const frame = player.shown;
  player.looping = false;
  player.comeBack();
  change(name, frame, { points: { ...points, [name]: { ...points[name], frame } } });
}

function setLabel(number) {
  const label = number === 0 ? "" : review.labels[number - 1];
  if (label !== undefined) change("label", label, { label: label || null });
}

function undo() {
  complain("");
  saver.send(
    "undo",
    {},
    async (entry) => {
      if (!entry) complain("There is nothing to undo.");
      else if (!entry.points) await reload(); // that event is there no longer
      const index = entry?.points ? indexOf(entry) : -1;
      if (index < 0) return;
      review.entries[index] = entry;
      showEntry(index);
      if (index !== review.at) await choose(index);
    },
    (error) => complain(`Not undone: ${error.message}`),
  );
}

// An event that the spotter missed, its onset at the frame shown; the other points come after.
function addEvent() {
  const { video } = current();
  const frame = player.shown;
  const entry = missedEvent(video, frame, review.videos.get(video).rate_hz);
  const before = (other) => other.video === video && other.points.onset.frame <= frame;
  const first = review.entries.findIndex((other) => other.video === video);
  const last = review.entries.findLastIndex(before);
  const index = last < 0 || current().empty ? first : last + 1;
  review.entries.splice(index, review.entries[first].empty ? 1 : 0, entry);
  review.at = -1;
  list();
  choose(index);
  player.looping = false;
  change("added", frame, {});
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
  z: toggleFace,
  m: magnify,
  n: addEvent,
  e: () => find("#units").focus(),
  t: () => find("#note").focus(),
  " ": () => player.toggleLoop(),
  "+": () => changePace(1),
  "=": () => changePace(1),
  "-": () => changePace(-1),
  ArrowLeft: (event) => player.step(event?.shiftKey ? -JUMP : -1),
  ArrowRight: (event) => player.step(event?.shiftKey ? JUMP : 1),
  PageUp: (event) => player.go(event?.shiftKey ? -FAR : -1),
  PageDown: (event) => player.go(event?.shiftKey ? FAR : 1),
  ArrowUp: () => choose(review.at - 1),
  ArrowDown: () => choose(review.at + 1),
};
for (let number = 0; number <= 9; number += 1) KEYS[number] = () => setLabel(number);

// Keys of the picture, which the replay gives way to.
const OF_PICTURE = new Set([..."opfcz ", "ArrowLeft", "ArrowRight", "PageUp", "PageDown"]);

// Keys that do the same again as long as they are held; of others one press is one decision.
const HELD = new Set(["+", "=", "-", "ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "PageUp", "PageDown"]);

function act(key, event) {
  if (OF_PICTURE.has(key)) replay.hide();
  KEYS[key](event);
}

addEventListener("keydown", (event) => {
  const typing = event.target.matches?.("input, textarea");
  if (typing && (event.key === "Escape" || (event.key === "Enter" && event.target.id === "units"))) event.target.blur();
  if (typing || event.ctrlKey || event.metaKey || event.altKey || !current()) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (!Object.hasOwn(KEYS, key)) return;
  event.preventDefault();
  if (!event.repeat || HELD.has(key)) act(key, event);
});

for (const button of document.querySelectorAll("button[data-key]")) {
  button.addEventListener("click", () => {
    button.blur(); // the space bar is for the loop
    if (current()) act(button.dataset.key);
  });
}

find("#units").addEventListener("change", ({ target }) => {
  change("action_units", target.value, { units: target.value.split(/\s+/).filter(Boolean) });
});
find("#note").addEventListener("change", ({ target }) => change("note", target.value, { note: target.value }));

find("#track").addEventListener("pointerdown", (event) => {
  if (!current()) return;
  replay.hide();
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

function list() {
  review.buttons = listEvents(review.entries, review.videos, choose);
  review.buttons.forEach((button, index) => showListed(button, review.entries[index]));
  review.buttons[review.at]?.setAttribute("aria-current", "true");
  showCount();
}

async function reload() {
  const { at } = review;
  const shown = current();
  const state = await (await ask("review")).json();
  Object.assign(review, {
    coder: state.coder,
    labels: state.labels,
    entries: state.videos.flatMap((video) => {
      const events = state.events.filter((entry) => entry.video === video.folder);
      return events.length ? events : [emptyPlace(video)];
    }),
    videos: new Map(state.videos.map((video) => [video.folder, video])),
  });
  replay.allow(state.replay);
  review.at = shown ? indexOf(shown) : -1;
  list();
  listLabels();
  if (current()) showEntry(review.at);
  else if (shown) await choose(Math.min(at, review.entries.length - 1));
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
  const first = review.entries.findIndex(isLeft);
  await choose(Math.max(0, first));
}

begin();
