// The stream of server-sent events, by `fetch`, because an EventSource cannot send a token.

const SILENCE = 25000; // milliseconds after which the stream counts as dead: the server sends every 10 s

/** The server has refused to answer. */
class Refused extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

/** Read events until the stream ends. `take` gets the name, the data and the id of each one. */
async function follow(token, last, take) {
  const stop = new AbortController();
  let timer = setTimeout(() => stop.abort(), SILENCE);
  const headers = { Accept: "text/event-stream" };
  if (token) headers.Authorization = `Bearer ${token}`;
  if (last) headers["Last-Event-ID"] = last;
  try {
    const answer = await fetch("events", {
      headers,
      cache: "no-store",
      redirect: "manual",
      signal: stop.signal,
    });
    if (answer.type === "opaqueredirect") throw new Refused(302, "sign in again, and reload the page");
    if (!answer.ok) throw new Refused(answer.status, plain((await answer.text()).trim(), 200));
    const type = answer.headers.get("Content-Type") ?? "";
    if (!type.startsWith("text/event-stream")) throw new Refused(0, "another server answers");
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      clearTimeout(timer);
      timer = setTimeout(() => stop.abort(), SILENCE);
      const parts = (rest + value).split("\n\n");
      rest = parts.pop();
      for (const part of parts) one(part, take);
    }
  } finally {
    clearTimeout(timer);
    stop.abort();
  }
}

function one(part, take) {
  const fields = {};
  for (const line of part.split("\n")) {
    const at = line.indexOf(": ");
    if (at > 0) fields[line.slice(0, at)] = line.slice(at + 2);
  }
  if (fields.event) take(fields.event, JSON.parse(fields.data ?? "{}"), fields.id);
}
