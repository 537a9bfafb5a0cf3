// The drain: its steps as they happen, what it waits for, and what still arrives.

// [name in /status, words, whether the step runs from the drain start]
const STEPS = [
  ["deregister", "Deregister everywhere", true],
  ["settle", "Settle time", true],
  ["quiet", "Nothing in flight, and quiet", true],
  ["wait", "All drain hooks", true],
  ["signal", "SIGTERM after preStop", false],
  ["stop", "main stops", false],
  ["flush", "Stop hooks", false],
  ["close", "Close registries", false],
];
const WAITS = {
  deregister: "the service registries",
  settle: "the settle time",
  quiet: "the end of all work and the quiet period",
  wait: "drain hooks",
  signal: "SIGTERM",
  stop: "the end of main",
  flush: "the stop hooks",
  close: "the registries to close",
};

/** Return the steps of a drain with their start, their end, and whether they run. */
function stepsOf(drain, over) {
  const current = STEPS.findIndex(([name]) => name === drain.step);
  let last = 0;
  return STEPS.flatMap(([name, words, side], index) => {
    const ended = drain.steps[name];
    const runs = ended === undefined && !over && (index === current || (side && current <= 3));
    const skipped = index < current || over || (name === "signal" && drain.cause !== "preStop");
    if (ended === undefined && !runs && skipped) return [];
    const from = side ? 0 : last;
    if (ended !== undefined) last = Math.max(last, ended);
    return [{ name, words, from, to: ended ?? (runs ? drain.elapsed : from), ended, runs }];
  });
}

function paintDrain(drain, over) {
  const section = $("drain");
  show(section, Boolean(drain));
  if (!drain) return;
  const steps = stepsOf(drain, over);
  const reach = Math.max(
    0.001,
    drain.elapsed + (over || drain.steps.wait !== undefined ? 0 : drain.deadline),
  );
  fill(
    section.querySelector("tbody"),
    steps,
    () => barred(row(["name", "picture", "number"], 0), 1),
    (line, step) => {
      put(line.parts[0], step.words);
      put(
        line.parts[2],
        step.ended !== undefined ? exact(step.ended) : step.runs ? "running" : "–",
      );
      stretch(
        line.bar,
        Math.min(1, step.from / reach),
        Math.min(1, Math.max(0, step.to - step.from) / reach),
      );
      mark(line, "kind", step.runs ? "running" : step.ended === undefined ? "next" : "done");
    },
  );
  scale(section, duration(reach));
  put($("drain-note"), `Started by ${plain(drain.cause)}, ${duration(drain.elapsed)} ago.`);
  paintWaits(drain, steps, over);
  paintArrivals(drain);
}

function paintWaits(drain, steps, over) {
  const waits = $("drain-waits");
  const running = steps.filter((step) => step.runs);
  const told = drain.waiting_for.map((each) => plain(each));
  const disturbed = drain.disturbed_by.length
    ? ` Still arriving: ${drain.disturbed_by.map((each) => plain(each)).join(", ")}.`
    : "";
  show(waits, !over && running.length > 0);
  put(
    waits,
    `Waits for ${(told.length ? told : running.map((step) => WAITS[step.name])).join("; ")}.${disturbed}`,
  );
}

function paintArrivals(drain) {
  const counts = drain.arrivals ?? [];
  const most = Math.max(1, ...counts);
  const parts = [];
  if (drain.last_request)
    parts.push(`The last request came ${exact(drain.last_request)} after the drain start`);
  if (drain.last_connection)
    parts.push(`the last new connection after ${exact(drain.last_connection)}`);
  show($("drain-arrivals"), parts.length > 0);
  put(
    $("drain-arrivals"),
    `${parts.join(", ")}. Each bar is one second, at most ${several(most, "request")}.`,
  );
  show($("drain-bars"), parts.length > 0);
  fill(
    $("drain-bars"),
    parts.length ? counts : [],
    () => make("i"),
    (bar, arrived) => stretch(bar, 0, arrived / most),
  );
}
