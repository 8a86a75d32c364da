// What the page counts of its own frames; `window.microspot.live.report()` prints it.

const KEPT = 3000;

export class Counters {
  constructor() { this.clear(); }

  clear() {
    Object.assign(this, { sent: 0, answered: 0, skipped: 0, refused: 0, lost: 0 });
    Object.assign(this, { reasons: {}, times: [], lags: [] });
  }

  // A frame taken at stream time ns is on the screen with its overlay, lagMs after it was taken.
  scored(ns, lagMs) {
    this.answered++;
    this.times.push(ns / 1e6);
    this.lags.push(lagMs);
    if (this.times.length > KEPT) { this.times.shift(); this.lags.shift(); }
  }

  // Frames scored per second of the last two seconds or so, those that were skipped missing.
  hz() {
    const times = this.times.slice(-61);
    return times.length > 1 ? (1000 * (times.length - 1)) / (times.at(-1) - times[0]) : 0;
  }

  lag() { return quantile(this.lags.slice(-60), 0.5); }

  report() {
    const { sent, answered, skipped, refused, lost, reasons, times, lags } = this;
    const seconds = times.length > 1 ? (times.at(-1) - times[0]) / 1000 : 0;
    return {
      sent, answered, skipped, refused, lost, reasons,
      scored_per_s: seconds ? (times.length - 1) / seconds : 0,
      lag_ms_p50: quantile(lags, 0.5), lag_ms_p95: quantile(lags, 0.95),
    };
  }
}

function quantile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
}
