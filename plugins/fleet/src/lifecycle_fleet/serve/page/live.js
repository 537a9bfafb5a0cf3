// Keeps the page up to date: one stream, which is opened again for as long as the page is.

const RETRY = [500, 1000, 2000, 5000, 10000]; // milliseconds between two tries

const seen = {
  fleet: null,
  coming: null, // a snapshot whose end is not here yet
  last: "",
  token: "",
  mood: "none",
  lost: "",
  offset: 0, // of the server's clock, in seconds
  heard: 0,
  failures: 0,
  told: { bad: 0, at: 0 }, // the problems that a screen reader was told of
  painting: false,
  now: () => Date.now() / 1000 + seen.offset,
};

function take(name, data, id) {
  seen.heard = seen.now();
  if (id) seen.last = id;
  if (name === "begin") {
    seen.offset = number(data.now) - Date.now() / 1000;
    seen.coming = new Fleet(data);
  } else if (name === "change") {
    (seen.coming ?? seen.fleet)?.take(data);
  } else if (name === "whole" && seen.coming) {
    seen.fleet = seen.coming;
    seen.coming = null;
    paintScope(seen.fleet);
    connected();
    repaint();
  } else if (name === "denied") {
    throw new Refused(401, plain(data.reason, 200));
  }
  if (!seen.coming && seen.fleet) {
    connected();
    soon();
  }
}

function connected() {
  if (seen.lost) say("Connected again.");
  seen.lost = "";
  seen.failures = 0;
  show($("ask"), false);
  show($("main"), true);
}

/** Paint what has changed, with the next picture of the browser. */
function soon() {
  if (document.hidden) {
    paintSummary(seen.fleet); // for the title and the icon of the tab
    paintLink();
    return;
  }
  if (seen.painting) return;
  seen.painting = true;
  requestAnimationFrame(() => {
    seen.painting = false;
    paint(false);
  });
}

function repaint() {
  paint(true);
}

function paint(all) {
  const { fleet } = seen;
  if (!fleet) return;
  paintSummary(fleet);
  paintProblems(fleet);
  paintEnds(fleet);
  paintGroups(fleet, all);
  paintLink();
}

// The connection

async function live() {
  for (;;) {
    try {
      await follow(seen.token, seen.last, take);
      seen.failures += 1; // the server has ended the stream, because it stops
      if (seen.failures > 1) lose("the server has ended the stream");
    } catch (error) {
      seen.failures += 1;
      if (isAboutToken(error)) return ask(error.message);
      lose(reasonOf(error));
    }
    seen.coming = null;
    if (!seen.fleet) seen.last = "";
    const pause = RETRY[Math.min(seen.failures, RETRY.length) - 1];
    await new Promise((done) => setTimeout(done, pause * (0.5 + Math.random() / 2)));
  }
}

/** Tell whether another token may help. Without a token, a 403 is that of an ingress. */
function isAboutToken(error) {
  return error instanceof Refused && (error.status === 401 || (error.status === 403 && seen.token));
}

function reasonOf(error) {
  if (error instanceof Refused) return error.message || `status ${error.status}`;
  if (error.name === "AbortError") return "the server has sent nothing for a while";
  return error instanceof SyntaxError ? "the answer of the server is not JSON" : "no answer";
}

function lose(reason) {
  if (!seen.lost) say(`Connection lost: ${reason}.`);
  seen.lost = reason;
  paintLink();
}

/** Ask for a token, and go on with it. */
function ask(reason) {
  const first = !seen.token;
  seen.token = "";
  seen.last = "";
  seen.fleet = null; // who may not read any more sees nothing any more
  show($("main"), false);
  show($("ask"), true);
  show($("lost"), !first);
  put($("lost"), sentence(reason));
  put($("link"), "Waiting for a token");
  $("token").focus();
}

$("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  seen.token = $("token").value.trim();
  $("token").value = "";
  show($("lost"), false);
  show($("ask"), false); // a second token at the same time would be a second stream
  live();
});

// What a person does

$("search").addEventListener("input", () => {
  filter.words = $("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  repaint();
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (["INPUT", "TEXTAREA"].includes(document.activeElement?.tagName)) return;
  event.preventDefault();
  $("search").focus();
});

for (const id of ["problems", "ends", "pods"]) {
  const section = $(id);
  section.querySelector(".title .more").addEventListener("click", () => {
    if (!opened.delete(id)) opened.add(id);
    repaint();
  });
}

document.addEventListener("visibilitychange", () => paint(false));

setInterval(() => {
  if (document.hidden || !seen.fleet) return;
  paintLink();
  paintAges();
}, 1000);

live();
