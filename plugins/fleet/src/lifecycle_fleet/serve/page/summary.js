// The head of the page: how many pods there are, what they do, and whether this is live.

const COLOURS = {
  busy: "#0a5cad",
  good: "#1a7f37",
  leave: "#9a6700",
  bad: "#cf222e",
  over: "#57606a",
  lost: "#57606a",
  none: "#57606a",
};
const FIGURES = [...KINDS, "problem"];

function paintSummary(fleet) {
  const total = fleet.pods.size;
  const by = (kind) => fleet.counts.get(kind) ?? 0;
  const bad = fleet.problems.size;
  put($("state"), several(total, "pod"));
  put($("lead"), leadOf(total, by, bad));
  seen.mood = bad ? "bad" : by("starting") + by("draining") ? "leave" : total ? "good" : "over";
  announce(bad);
  fill($("figures"), FIGURES, makeFigure, (button, kind) => {
    const value = kind === "problem" ? bad : by(kind);
    put(button.parts[0], count(value));
    put(button.parts[1], kind === "problem" ? "with a problem" : kind);
    mark(button, "kind", kind);
    mark(button, "none", String(!value));
    describe(button, "aria-pressed", String(filter.kind === kind));
  });
}

/** Tell a screen reader when there are more problems, or fewer, but not all the time. */
function announce(bad) {
  const now = Date.now();
  if (bad === seen.told.bad || now - seen.told.at < 10000) return;
  if (seen.told.at) say(bad ? `${several(bad, "pod has", "pods have")} a problem.` : "No problems.");
  seen.told = { bad, at: now };
}

function leadOf(total, by, bad) {
  if (!total) return "Nothing is here yet.";
  const parts = [`${count(by("ready"))} of ${count(total)} ready`];
  for (const kind of ["starting", "draining", "offline", "not ready"]) {
    if (by(kind)) parts.push(`${count(by(kind))} ${kind}`);
  }
  const look = bad ? ` ${several(bad, "pod has", "pods have")} a problem.` : "";
  return `${parts.join(", ")}.${look}`;
}

function makeFigure() {
  const button = make("button", "figure", make("span", "value"), make("span", "what"));
  button.type = "button";
  button.parts = [...button.children];
  button.addEventListener("click", () => {
    const { kind } = button.dataset;
    filter.kind = filter.kind === kind ? "" : kind;
    repaint();
  });
  return button;
}

function paintScope({ about }) {
  const scope = about.namespace ? `Pods of ${plain(about.namespace, 80)}` : "Pods of all namespaces";
  put($("scope"), about.selector ? `${scope} with ${plain(about.selector, 120)}` : scope);
  put($("version"), `pod-lifecycle ${plain(about.version, 40)}`);
  const missing = (about.missing ?? []).map((each) => plain(each, 40));
  show($("missing"), missing.length > 0);
  put($("missing"), `Not shown, because the server may not list them: ${missing.join(", ")}.`);
}

/** Say whether this is live: the stream to the server, and the watches of the server. */
function paintLink() {
  const { fleet, lost, mood } = seen;
  const shown = lost || stale(fleet) ? "lost" : mood;
  mark(document.documentElement, "mood", shown);
  paintIcon(shown);
  const title = fleet ? several(fleet.problems.size, "problem") : "Pods";
  document.title = lost ? `Lost · ${title}` : title;
  const ago = fleet?.at ? `Last change ${duration(seen.now() - fleet.at)} ago` : "No change yet";
  put($("link"), lost ? "Connection lost, trying again" : fleet ? `${liveness(fleet)}. ${ago}` : "Connecting");
  const view = fleet ? ` You see the last view, of ${clock(seen.heard, seen.now())}.` : "";
  const problem = problemsOf(fleet?.link ?? {});
  show($("lost"), Boolean(lost || problem.length));
  put(
    $("lost"),
    lost
      ? sentence(`Connection lost: ${lost}`) + view
      : `The server does not get changes from the API server. ${sentence(problem.join("; "))}` +
          " It tries again, and you see the last known state.",
  );
}

/** Return the problems of the watches. Kinds with the same problem share a sentence. */
function problemsOf(link) {
  const kinds = new Map();
  for (const [kind, text] of Object.entries(link)) {
    const problem = plain(text, 200);
    kinds.set(problem, [...(kinds.get(problem) ?? []), plain(kind, 40)]);
  }
  return [...kinds].map(([problem, names]) => `${problem} (${names.sort().join(", ")})`);
}

const stale = (fleet) => Boolean(fleet && Object.keys(fleet.link).length);
const liveness = (fleet) => (stale(fleet) ? "Stale" : "Live");

function paintIcon(mood) {
  const icon = $("icon");
  if (icon.dataset.mood === mood) return;
  icon.dataset.mood = mood;
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><rect x="3" y="3" width="10" height="10" rx="2" fill="${COLOURS[mood]}"/></svg>`;
  icon.href = `data:image/svg+xml,${encodeURIComponent(svg)}`;
}
