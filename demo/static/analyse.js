// The Analyse tab: videos are sent in pieces, one video after the other; their events come back, and
// their results are files for as long as this page is open.

import { Events, curve, length, tint } from "./events.js";
import { address, connect, waiting } from "./socket.js";
import { Timeline } from "./timeline.js";

const WORDS = {
  "overlay.mp4": "Annotated video (MP4)", "events.csv": "Table (CSV)", "events.jsonl": "JSON lines",
  "events.eaf": "ELAN (.eaf)", "report.html": "Report (HTML)",
};
const BEFORE_S = 0.5; // a jump shows a little of what comes before
const SAMPLE = { name: "sample" };
export const REVIEWS = "microspot:reviews"; // the event of `window`: other videos can be reviewed now

// A link to a file of results, of a video called `stem`.
export function download(url, name, stem) {
  const link = document.createElement("a");
  link.href = url;
  link.download = `${stem}-${name}`;
  link.textContent = WORDS[name] ?? name;
  return link;
}

export function mount(root) {
  window.microspot = { ...window.microspot, analyse: new Tab(root.querySelector(".ms-tab")) };
}

// The videos that were chosen: one at a time is analysed, one is shown.
class Tab {
  constructor(root) {
    const find = (name) => root.querySelector(name);
    this.root = root;
    this.template = find("template");
    this.list = find(".ms-videos");
    this.analyses = [];
    this.file = find("[data-set=file]");
    this.file.onchange = () => {
      this.add([...this.file.files]);
      this.file.value = "";
    };
    find("[data-do=sample]").onclick = () => this.add([SAMPLE]);
    const threshold = find("[data-set=threshold]");
    threshold.oninput = () => {
      this.threshold = Number(threshold.value);
      threshold.nextElementSibling.textContent = this.threshold.toFixed(2);
    };
    this.threshold = null; // until somebody chooses one
    this.kept = find("[data-set=review]");
    this.takeDrops();
    addEventListener("pagehide", () => this.analyses.forEach((analysis) => analysis.end("")));
  }

  // Files may be dropped anywhere on the page while this tab is the one that is open.
  takeDrops() {
    const ours = (event) => this.root.checkVisibility() && event.dataTransfer.types.includes("Files");
    document.addEventListener("dragover", (event) => {
      if (!ours(event)) return;
      event.preventDefault();
      this.root.dataset.drop = "";
    });
    const leave = () => delete this.root.dataset.drop;
    document.addEventListener("dragleave", (event) => event.relatedTarget ?? leave());
    document.addEventListener("drop", (event) => {
      leave();
      if (!ours(event)) return;
      event.preventDefault();
      this.add([...event.dataTransfer.files]);
    });
  }

  get timeline() { return this.shown?.timeline; }

  add(uploads) {
    const added = uploads.map((upload) => new Analysis(this, upload));
    if (!added.length) return;
    this.analyses.push(...added);
    this.show(added[0]);
    this.next();
  }

  // Begin with the next video unless one is under way; the oldest results make room.
  next() {
    const done = this.analyses.filter(({ state }) => state === "done");
    if (done.length > Number(this.root.dataset.kept)) {
      return done[0].end("Newer results took the place of these: analyse the video again.");
    }
    if (!this.analyses.some(({ state }) => state === "running")) {
      this.analyses.find(({ state }) => state === "waiting")?.start();
    }
    this.refresh();
  }

  // Those whose events can be reviewed; who listens to `window` for REVIEWS knows when others can.
  reviewable() { return this.analyses.filter(({ review }) => review); }

  show(analysis) {
    this.shown = analysis;
    for (const each of this.analyses) each.root.hidden = each !== analysis;
    this.refresh();
  }

  // The list of videos, where there are several.
  refresh() {
    this.list.hidden = this.analyses.length < 2;
    this.list.replaceChildren(...this.analyses.map((analysis) => {
      const item = document.createElement("li"), button = document.createElement("button");
      button.type = "button";
      button.textContent = `${analysis.upload.name}: ${analysis.words}`;
      button.ariaPressed = String(analysis === this.shown);
      button.onclick = () => this.show(analysis);
      item.append(button);
      return item;
    }));
  }
}

// One video: its upload, its progress, its results.
class Analysis {
  constructor(tab, upload) {
    this.tab = tab;
    this.upload = upload;
    this.state = "waiting"; // then running, then done or ended
    this.words = "waiting";
    this.review = null; // the address of the review, where there is one
    this.root = tab.template.content.firstElementChild.cloneNode(true);
    tab.root.append(this.root);
    const find = (name) => this.root.querySelector(name);
    this.note = find(".ms-note");
    this.progress = find(".ms-progress");
    this.result = find(".ms-result");
    this.video = find(".ms-video");
    this.rows = find(".ms-table tbody");
    this.downloads = find(".ms-downloads");
    this.status = find(".ms-status");
    this.events = new Events();
    this.timeline = new Timeline(find(".ms-timeline"), null);
    find("[data-do=cancel]").onclick = () => this.end("Cancelled.");
    find(".ms-timeline").onclick = ({ clientX }) => {
      this.jump(this.timeline.at(clientX)?.onset_s ?? this.timeline.time(clientX));
    };
  }

  start() {
    this.state = "running";
    this.step("Uploading", 0);
    this.socket = connect("analyse", {
      message: (message) => this.receive(message),
      closed: (why) => this.state !== "ended" && this.end(why),
    });
  }

  // Whatever there is goes with the connection.
  end(why) {
    this.state = "ended";
    this.words = why === "Cancelled." ? "cancelled" : "no results";
    this.socket?.close();
    this.review = null;
    dispatchEvent(new Event(REVIEWS));
    this.progress.hidden = true;
    this.video.hidden = true;
    this.video.removeAttribute("src");
    this.downloads.replaceChildren();
    this.say(why);
    this.tab.next();
  }

  say(words) { this.note.hidden = !words; this.note.textContent = words; }

  step(words, share) {
    this.progress.querySelector("span").textContent = words;
    const bar = this.progress.querySelector("progress");
    if (share === null) bar.removeAttribute("value");
    else bar.value = share;
    const percent = share ? ` ${Math.round(100 * share)} %` : "";
    if (this.words !== words.toLowerCase() + percent) {
      this.words = words.toLowerCase() + percent;
      this.tab.refresh();
    }
  }

  async receive(message) {
    if (message.type === "ready") this.offer();
    else if (message.type === "more") this.piece(message);
    else if (message.type === "start") this.begin(message);
    else if (message.type === "frame") this.frame(message);
    else if (message.type === "event") this.event(message);
    else if (message.type === "queue") this.say(waiting(message));
    else if (message.type === "note" || message.type === "error") this.say(message.message);
    else if (message.type === "done") this.done(message);
  }

  offer() {
    this.say("");
    const { name, size } = this.upload, { threshold } = this.tab, review = this.tab.kept.checked;
    if (this.upload === SAMPLE) this.socket.sendJson({ type: "sample", threshold, review });
    else this.socket.sendJson({ type: "upload", name, size, threshold, review });
  }

  async piece({ from, upto, share }) {
    this.step("Uploading", share);
    this.socket.send(await this.upload.slice(from, upto).arrayBuffer());
  }

  begin(spec) {
    this.spec = spec;
    this.timeline.begin(spec);
    this.result.hidden = false;
    this.status.textContent = "Analysing";
  }

  frame({ ns, faces: [face], share }) {
    this.step("Analysing", share);
    this.timeline.now(ns);
    if (face) this.timeline.take(face.now_ns, face.columns);
  }

  event(event) {
    this.events.take(event);
    this.timeline.show(this.events.sorted());
    if (event.status === "final") this.table();
  }

  table() {
    const finals = this.events.sorted().filter((e) => e.status === "final");
    this.rows.replaceChildren(...finals.map((event) => this.row(event)));
    this.status.textContent = `${finals.length} micro-expression${finals.length === 1 ? "" : "s"}`;
  }

  row(event) {
    const row = document.createElement("tr"), go = document.createElement("button");
    const dot = document.createElement("span");
    dot.className = "ms-dot";
    dot.dataset.final = "";
    dot.style.color = `var(${tint(event, this.spec.labels)})`;
    go.type = "button";
    go.textContent = event.caption;
    go.onclick = () => this.jump(event.onset_s);
    const onset = `${event.onset_s.toFixed(2)} s`, score = event.score.toFixed(2);
    const frames = `${event.onset_frame} to ${event.offset_frame}`;
    for (const text of ["", onset, length(event), score, frames, ""]) {
      row.insertCell().textContent = text;
    }
    row.cells[0].append(dot, go);
    row.cells[5].append(curve(event));
    return row;
  }

  done({ files, review }) {
    const stem = this.upload.name.replace(/\.[^.]*$/, "");
    this.state = "done";
    this.progress.hidden = true;
    this.table();
    if (!this.rows.children.length) this.status.textContent = "No micro-expression found";
    this.words = this.status.textContent;
    this.video.hidden = !files["overlay.mp4"];
    if (files["overlay.mp4"]) this.video.src = address(files["overlay.mp4"]);
    for (const [name, url] of Object.entries(files)) {
      this.downloads.append(download(address(url), name, stem));
    }
    this.review = review && address(review);
    dispatchEvent(new Event(REVIEWS));
    this.tab.next();
  }

  jump(seconds) {
    if (this.video.hidden) return;
    this.video.currentTime = Math.max(0, seconds - BEFORE_S);
    this.video.play().catch(() => undefined); // stopped again before it began
  }
}
