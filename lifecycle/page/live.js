// Keeps the page up to date: one request at a time, every second, and none while the tab is hidden.

const EVERY = 1000;
const RETRY = 2000; // milliseconds between two tries while the connection is lost
const PATIENCE = 10000; // as workers may be too busy to answer at once
const LATE = 3000; // milliseconds without an answer that the page admits

const seen = {
  status: null,
  work: { in_flight: 0, entries: [] },
  at: 0,
  state: "",
  mood: "none",
  born: 0,
  lost: "",
};
const flow = { timer: 0, asking: false, paused: false };

/** An answer that the page cannot show. */
class Refused extends Error {}

async function get(path) {
  const answer = await fetch(path, {
    cache: "no-store",
    credentials: "omit",
    signal: AbortSignal.timeout(PATIENCE),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Refused(`/${path} answered ${answer.status}, ${text.trim()}`);
  try {
    return JSON.parse(text);
  } catch {
    throw new Refused(`/${path} did not answer with JSON`);
  }
}

async function tick() {
  if (flow.asking) return;
  flow.asking = true;
  const began = performance.now();
  try {
    const status = await get("status");
    let problem = "";
    try {
      seen.work = await get(`inflight?limit=${opened.has("work") ? MOST : FEW}`);
    } catch {
      problem = "There was no answer of /inflight. You see the last known entries.";
    }
    found(status, problem);
  } catch (error) {
    lose(reasonOf(error));
  }
  flow.asking = false;
  next(seen.lost ? RETRY : Math.max(50, EVERY - (performance.now() - began)));
}

function next(pause) {
  clearTimeout(flow.timer);
  if (!flow.paused && !document.hidden) flow.timer = setTimeout(tick, pause);
}

function found(status, problem) {
  if (typeof status?.state !== "string" || !Array.isArray(status.transitions)) {
    throw new Refused("/status did not answer with a status");
  }
  const now = status.now ?? Date.now() / 1000;
  const born = bornAt(status, now);
  const before = seen.status;
  const other = before !== null && (before.pid !== status.pid || Math.abs(born - seen.born) > 2);
  Object.assign(seen, { status, born, at: Date.now() });
  announce(status, other);
  seen.lost = "";
  try {
    paint(problem);
  } catch {
    throw new Refused("another version of pod-lifecycle answers. Reload the page");
  }
}

function announce(status, other) {
  const state = plain(status.state).toUpperCase();
  const last = status.transitions.at(-1);
  const cause = last?.cause ? `, because of ${plain(last.cause, 80)}` : "";
  if (other) say(`Another process answers now. Its state is ${state}.`);
  else if (seen.lost) say(`Connected again. The state is ${state}.`);
  else if (state !== seen.state)
    say(seen.state ? `The state is now ${state}${cause}.` : `Connected. The state is ${state}.`);
  seen.state = state;
}

/** Paint everything from the last answers. */
function paint(problem = "") {
  const { status, work } = seen;
  if (!status) return;
  const now = status.now ?? seen.at / 1000;
  const over = OVER.includes(status.state);
  const oldest =
    status.oldest_in_flight ?? (status.in_flight ? (work.entries[0]?.age ?? null) : null);
  const [mood, lead] = summary(status, oldest);
  show($("main"), true);
  put($("pod"), plain(status.pod) || location.host);
  put($("process"), `process ${status.pid}, pod-lifecycle ${plain(status.version, 40)}`);
  put($("state"), plain(status.state).toUpperCase());
  put(
    $("for"),
    over ? "" : `for ${duration(now - (status.transitions.length ? status.since : seen.born))}`,
  );
  put($("lead"), lead);
  paintHistory(status, now);
  paintFigures(status, oldest);
  paintDrain(status.drain, over);
  paintWork(work, problem);
  paintWorkers(status.workers ?? []);
  paintProbes(status);
  paintServices(status.services, status.state);
  paintStart(status.start);
  paintPlugins(status.plugins);
  paintCommands(status);
  paintLink(mood);
}

// The connection

function reasonOf(error) {
  if (error.name === "TimeoutError") return "no answer in time";
  return error instanceof Refused ? plain(error.message, 200) : "no answer";
}

function lose(reason) {
  if (!seen.lost) say(`Connection lost: ${reason}.`);
  seen.lost = reason;
  paintLink(seen.mood);
}

function paintLink(mood) {
  seen.mood = mood;
  const { status, lost } = seen;
  const ago = duration((Date.now() - seen.at) / 1000);
  const shown = lost ? "lost" : mood;
  mark(document.documentElement, "mood", shown);
  paintIcon(shown);
  const title = lost ? `Lost, was ${seen.state || "unknown"}` : seen.state;
  document.title = `${title} · ${status ? plain(status.pod, 80) || location.host : "pod-lifecycle"}`;
  show($("pause"), true);
  show($("lost"), Boolean(lost));
  if (lost)
    put(
      $("lost"),
      status
        ? `Connection lost: ${lost}. You see the last state, which is ${ago} old. ${why(status)}`
        : `The app does not answer: ${lost}.`,
    );
  const late = Date.now() - seen.at > LATE;
  const live = late ? `No answer for ${ago}` : "Live, every second";
  put(
    $("link"),
    lost ? "Connection lost, trying again" : flow.paused ? `Paused, ${ago} old` : live,
  );
}

function why(status) {
  const gone = status.state === "draining" || OVER.includes(status.state);
  const pod = gone
    ? `The app was ${seen.state} when it last answered, so it has probably exited.`
    : "";
  return `${pod} kubectl port-forward ends with its pod. To see another pod, start it again.`.trim();
}

// Without new answers, only the age of the last one changes.
setInterval(() => {
  if (!document.hidden && seen.at) paintLink(seen.mood);
}, 1000);

document.addEventListener("visibilitychange", () => next(0));

$("pause").addEventListener("click", () => {
  flow.paused = !flow.paused;
  $("pause").setAttribute("aria-pressed", String(flow.paused));
  say(flow.paused ? "Paused." : "Live again.");
  paintLink(seen.mood);
  next(0);
});

for (const id of ["work", "services", "start"]) {
  const section = $(id);
  section.querySelector(".more").addEventListener("click", () => {
    if (!opened.delete(id)) opened.add(id);
    paint();
    if (id === "work") next(0);
  });
}

next(0);
