// The Review tab: the page of `microspot review` in a frame, for each video of the Analyse tab that was kept.

import { REVIEWS, download } from "./analyse.js";

const FILES = ["events.csv", "events.eaf", "events.jsonl", "report.html"]; // of what was accepted

export function mount(root) {
  window.microspot = { ...window.microspot, review: new Tab(root.querySelector(".ms-tab")) };
}

class Tab {
  constructor(root) {
    const find = (name) => root.querySelector(name);
    this.root = root;
    this.empty = find(".ms-empty");
    this.reviews = find(".ms-reviews");
    this.list = find(".ms-choices");
    this.frames = find(".ms-frames");
    this.accepted = find(".ms-accepted");
    this.opened = new Map(); // by analysis, its frame
    this.visible = false;
    addEventListener(REVIEWS, () => this.refresh());
    new ResizeObserver(() => this.turn()).observe(root);
    this.refresh();
  }

  // The tab was opened or left: keys go to the review that is shown.
  turn() {
    const visible = this.root.checkVisibility();
    if (visible === this.visible) return;
    this.visible = visible;
    if (visible) this.goTo(this.shown);
  }

  refresh() {
    const found = window.microspot.analyse?.reviewable() ?? [];
    for (const [analysis, frame] of this.opened) {
      if (found.includes(analysis)) continue;
      frame.remove();
      this.opened.delete(analysis);
    }
    this.empty.hidden = found.length > 0;
    this.reviews.hidden = !found.length;
    this.list.hidden = found.length < 2;
    this.list.replaceChildren(...found.map((analysis) => this.choice(analysis)));
    if (!found.includes(this.shown)) this.shown = found[0];
    if (this.visible) this.show(this.shown);
  }

  choice(analysis) {
    const item = document.createElement("li"), button = document.createElement("button");
    button.type = "button";
    button.textContent = analysis.upload.name;
    button.onclick = () => this.goTo(analysis);
    item.append(button);
    return item;
  }

  // Show the review of an analysis; undefined for none.
  show(analysis) {
    this.shown = analysis;
    if (!analysis) return;
    if (!this.opened.has(analysis)) this.opened.set(analysis, this.frame(analysis));
    for (const [each, frame] of this.opened) frame.hidden = each !== analysis;
    const choices = [...this.list.querySelectorAll("button")];
    const found = window.microspot.analyse.reviewable();
    choices.forEach((button, index) => { button.ariaPressed = String(found[index] === analysis); });
    const stem = analysis.upload.name.replace(/\.[^.]*$/, "");
    const files = FILES.map((name) => download(`${analysis.review}accepted/${name}`, name, `${stem}-accepted`));
    this.accepted.replaceChildren(this.accepted.firstChild, ...files);
  }

  // Show it, and let keys go there.
  goTo(analysis) {
    this.show(analysis);
    this.opened.get(analysis)?.contentWindow.focus();
  }

  frame(analysis) {
    const frame = document.createElement("iframe");
    frame.title = `Review of ${analysis.upload.name}`;
    frame.src = analysis.review;
    frame.onload = () => this.visible && this.shown === analysis && frame.contentWindow.focus();
    this.frames.append(frame);
    return frame;
  }
}
