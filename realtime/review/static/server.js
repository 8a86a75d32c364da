// What is asked of the server, below the address of this page. The token stands behind the # of the address, which no
// request holds; within the demo's page there is none.

const TOKEN = location.hash.slice(1);

async function ask(path, body, signal) {
  const options = { signal, headers: { Authorization: `Bearer ${TOKEN}` } };
  if (body !== undefined) {
    options.method = "POST";
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Error("microspot does not answer: is it still running?");
  }
  if (answer.ok) return answer;
  if (answer.status === 401) {
    if (parent !== window) throw new Error("log in again: load the whole page anew");
    throw new Error("open the whole address that microspot printed, with what stands behind #");
  }
  const said = await answer.json().catch(() => ({}));
  throw new Error(typeof said.detail === "string" ? said.detail : `the server answered ${answer.status}`);
}

// Changes go one after the other, in the order of the keys; `waiting` are not yet on the disk.
const saver = {
  waiting: 0,
  failed: false, // the last one
  last: Promise.resolve(),
  changed: () => {},
  send(path, body, done, failed) {
    this.waiting += 1;
    this.changed();
    const sent = async () => {
      try {
        done(await (await ask(path, body)).json());
        this.failed = false;
      } catch (error) {
        this.failed = true;
        await failed(error);
      }
      this.waiting -= 1;
      this.changed();
    };
    this.last = this.last.then(sent);
    return this.last;
  },
};

addEventListener("beforeunload", (event) => {
  if (saver.waiting) event.preventDefault();
});
