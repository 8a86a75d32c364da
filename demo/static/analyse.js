// The Analyse tab: a video is sent in pieces, its events come back; the results are files for as
// long as this page is open.

import { Events, curve, length, tint } from "./events.js";
import { address, connect, waiting } from "./socket.js";
import { Timeline } from "./timeline.js";

const WORDS = {
  "overlay.mp4": "Annotated video (MP4)", "events.csv": "Table (CSV)", "events.jsonl": "JSON lines",
  "events.eaf": "ELAN (.eaf)", "report.html": "Report (HTML)",
};
const BEFORE_S = 0.5; // a jump shows a little of what comes before

export function mount(root) {
  const analyse = new Analyse(root);
  window.microspot = { ...window.microspot, analyse: analyse.timeline };
}

class Analyse {
  constructor(root) {
    const find = (name) => root.querySelector(name);
    this.file = find("[data-set=file]");
    this.cancel = find("[data-do=cancel]");
    this.note = find(".ms-note");
    this.progress = find(".ms-progress");
    this.result = find(".ms-result");
    this.video = find(".ms-video");
    this.rows = find(".ms-table tbody");
    this.downloads = find(".ms-downloads");
    this.status = find(".ms-status");
    this.threshold = find("[data-set=threshold]");
    this.timeline = new Timeline(find(".ms-timeline"), null);
    this.events = new Events();
    this.file.onchange = () => this.file.files[0] && this.start(this.file.files[0]);
    this.cancel.onclick = () => this.stop("Cancelled.");
    this.threshold.oninput = () => {
      const value = Number(this.threshold.value);
      this.threshold.nextElementSibling.textContent = value.toFixed(2);
      this.chosen = true;
    };
    find(".ms-timeline").onclick = ({ clientX }) => {
      this.jump(this.timeline.at(clientX)?.onset_s ?? this.timeline.time(clientX));
    };
    addEventListener("pagehide", () => this.stop(""));
  }

  start(file) {
    this.stop("");
    this.events.clear();
    this.timeline.clear();
    this.rows.replaceChildren();
    this.downloads.replaceChildren();
    this.status.textContent = "";
    this.video.hidden = true;
    this.video.removeAttribute("src");
    this.result.hidden = true;
    this.cancel.hidden = this.progress.hidden = false;
    this.upload = file;
    this.step("Uploading", 0);
    const socket = connect("analyse", {
      message: (message) => this.receive(message),
      closed: (why) => this.socket === socket && this.stop(why),
    });
    this.socket = socket;
  }

  stop(why) {
    const { socket } = this;
    this.socket = null;
    socket?.close();
    this.progress.hidden = this.cancel.hidden = true;
    this.file.value = "";
    this.say(why);
  }

  say(words) { this.note.hidden = !words; this.note.textContent = words; }

  step(words, share) {
    this.progress.querySelector("span").textContent = words;
    const bar = this.progress.querySelector("progress");
    if (share === null) bar.removeAttribute("value");
    else bar.value = share;
  }

  async receive(message) {
    if (message.type === "ready") this.offer();
    else if (message.type === "more") this.piece(message);
    else if (message.type === "start") this.begin(message);
    else if (message.type === "frame") this.frame(message);
    else if (message.type === "event") this.event(message);
    else if (message.type === "queue") this.say(waiting(message));
    else if (message.type === "note" || message.type === "error") this.say(message.message);
    else if (message.type === "done") this.done(message.files);
  }

  offer() {
    this.say("");
    const { name, size } = this.upload;
    const threshold = this.chosen ? Number(this.threshold.value) : null;
    this.socket.sendJson({ type: "upload", name, size, threshold });
  }

  async piece({ from, upto, share }) {
    this.step("Uploading", share);
    this.socket?.send(await this.upload.slice(from, upto).arrayBuffer());
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

  done(files) {
    const stem = this.upload.name.replace(/\.[^.]*$/, "");
    this.progress.hidden = this.cancel.hidden = true;
    this.table();
    if (!this.rows.children.length) this.status.textContent = "No micro-expression found";
    this.video.hidden = !files["overlay.mp4"];
    if (files["overlay.mp4"]) this.video.src = address(files["overlay.mp4"]);
    for (const [name, url] of Object.entries(files)) {
      const link = document.createElement("a");
      link.href = address(url);
      link.download = `${stem}-${name}`;
      link.textContent = WORDS[name] ?? name;
      this.downloads.append(link);
    }
  }

  jump(seconds) {
    if (this.video.hidden) return;
    this.video.currentTime = Math.max(0, seconds - BEFORE_S);
    this.video.play().catch(() => undefined); // stopped again before it began
  }
}
