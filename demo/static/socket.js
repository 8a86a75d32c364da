// One websocket of the demo: JSON as text both ways, pictures as binary from the server.

const CLOSED = {
  1006: "The connection to the server was lost. Is it still running? Press start again.",
  1008: "The server refused the connection. Reload the page.",
  1009: "A message was larger than the server takes. Reload the page.",
  1012: "The server was stopped.",
};

// The address of something of the demo, "live" or "result/…". This module lies beside it, under
// whatever address the page was found.
export function address(path) { return new URL(`../${path}`, import.meta.url).href; }

// on: {message(object), binary(ArrayBuffer), closed(text or "")}
export function connect(path, on) {
  const socket = new WebSocket(address(path).replace(/^http/, "ws"));
  let failure = "";
  const open = () => socket.readyState === WebSocket.OPEN;
  socket.binaryType = "arraybuffer";
  socket.onmessage = ({ data }) => {
    if (typeof data !== "string") return on.binary(data);
    const message = JSON.parse(data);
    if (message.type === "error") failure = message.message;
    return on.message(message);
  };
  socket.onclose = ({ code }) => on.closed(failure || CLOSED[code] || "");
  return {
    sendJson: (message) => open() && socket.send(JSON.stringify(message)),
    send: (data) => open() && socket.send(data),
    open,
    close: () => socket.close(),
  };
}

// A binary message of the server: {head, jpeg}.
export function unpack(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  return { head, jpeg: new Blob([new Uint8Array(buffer, 4 + length)], { type: "image/jpeg" }) };
}

// What to say to a page that waits in line.
export function waiting({ position, runs }) {
  return `All ${runs} places are taken. You are number ${position} in line; this starts by itself.`;
}
