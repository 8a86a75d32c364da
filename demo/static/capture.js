// The page's camera: frames with the times they were taken at.

const WANTED = { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 30 } };

const REFUSED = {
  NotAllowedError:
    "The camera was not allowed. Allow it in the address bar, then press start again.",
  NotFoundError: "No camera was found. The Camera tab shows samples without one.",
  NotReadableError: "The camera is in use by another program. Close it, then press start again.",
  OverconstrainedError: "This camera is gone. Choose another one.",
};

const NO_DEVICES =
  "This browser gives cameras only to https pages and to this computer's own (localhost).";
const NO_TIMES = "This browser is too old: it does not say when a frame was taken.";

export class Capture {
  // Ask for a camera ("" is the default one). Rejects with an Error whose message is for people.
  static async open(deviceId) {
    if (!navigator.mediaDevices) throw new Error(NO_DEVICES);
    if (!("requestVideoFrameCallback" in HTMLVideoElement.prototype)) throw new Error(NO_TIMES);
    const video = { ...WANTED, ...(deviceId && { deviceId: { exact: deviceId } }) };
    let capture = null;
    try {
      capture = new Capture(await navigator.mediaDevices.getUserMedia({ video, audio: false }));
      await capture.video.play();
      return capture;
    } catch (error) {
      capture?.close(); // a camera that cannot be played is not left on
      throw new Error(REFUSED[error.name] ?? `The camera could not be opened (${error.message}).`);
    }
  }

  static async cameras() {
    const devices = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
    return devices.filter((device) => device.kind === "videoinput");
  }

  constructor(stream) {
    this.stream = stream;
    this.video = document.createElement("video");
    this.video.muted = this.video.playsInline = true;
    this.video.srcObject = stream;
  }

  // Call back with every frame that the browser shows and its time (ms of performance's clock).
  each(call) {
    let last = -Infinity;
    const next = (now, { captureTime }) => {
      if (this.ended) return;
      const taken = captureTime ?? now;
      if (taken > last) call(this.video, taken);
      last = Math.max(last, taken);
      this.video.requestVideoFrameCallback(next);
    };
    this.video.requestVideoFrameCallback(next);
    for (const track of this.stream.getTracks()) track.onended = () => this.lost?.();
  }

  close() {
    this.ended = true;
    for (const track of this.stream.getTracks()) track.stop();
    this.video.srcObject = null;
  }
}
