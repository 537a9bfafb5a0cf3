// The head of the page: the state, one sentence about it, its history, and the figures.

const PATH = ["starting", "exporting", "registered", "ready", "draining", "stopped"];
const OVER = ["stopped", "failed"];
const LEAVING = ["draining", ...OVER];
const COLOURS = {
  busy: "#0a5cad",
  good: "#1a7f37",
  leave: "#9a6700",
  bad: "#cf222e",
  over: "#57606a",
  lost: "#57606a",
};

/** Return the mood, which decides the colour, and the sentence that says what the app does. */
function summary(status, oldest) {
  const state = status.state;
  const cause = plain(status.transitions.at(-1)?.cause ?? "", 200);
  const because = cause ? sentence(`: ${cause}`) : ".";
  if (state === "failed") return ["bad", `The app has failed${because}`];
  if (state === "stopped") return ["over", `The app has stopped${because}`];
  if (state === "draining") return ["leave", leadOfDrain(status, oldest)];
  if (state !== "ready") return ["busy", leadOfStart(status)];
  const { services } = status;
  const online = services.filter((each) => each.online).length;
  const failed = (kind) => status.probes.filter((probe) => probe.kind === kind && !probe.ok);
  const reasons = (probes) =>
    probes
      .map((each) => `${plain(each.name, 60)}: ${plain(each.reason, 160) || "no reason"}`)
      .join("; ");
  const dead = failed("liveness");
  if (dead.length)
    return [
      "bad",
      sentence(`/live is false, so the kubelet restarts the container. ${reasons(dead)}`),
    ];
  if (services.length && !online) {
    return [
      "leave",
      services.length === 1
        ? "The app service is offline, so the app gets no new traffic."
        : `All app services (${count(services.length)}) are offline, so the app gets no new traffic.`,
    ];
  }
  const unready = failed("readiness");
  if (unready.length) return ["bad", sentence(`/ready is false. ${reasons(unready)}`)];
  return ["good", `${leadOfServices(services.length, online)} ${leadOfWork(status, oldest)}`];
}

function leadOfServices(all, online) {
  if (!all) return "Running, without app services.";
  return online < all
    ? `Serving ${count(online)} of ${several(all, "app service")}.`
    : `Serving ${several(all, "app service")}.`;
}

function leadOfWork(status, oldest) {
  if (!status.in_flight) return "Nothing is in flight.";
  const age =
    oldest === null
      ? ""
      : status.in_flight === 1
        ? `, for ${duration(oldest)}`
        : `, the oldest for ${duration(oldest)}`;
  return `${count(status.in_flight)} in flight${age}.`;
}

function leadOfStart(status) {
  const running = (status.start?.steps ?? []).filter((step) => step.running);
  if (!running.length) return "The app starts.";
  const shown = running.slice(-2).map((step) => `${plain(step.name, 60)} (${exact(step.seconds)})`);
  const more = running.length > 2 ? ` and ${count(running.length - 2)} more` : "";
  return `The app starts. Running now: ${shown.join(", ")}${more}.`;
}

function leadOfDrain(status, oldest) {
  const drain = status.drain;
  if (!drain) return "The app drains.";
  const work = leadOfWork(status, oldest);
  if (drain.steps.wait === undefined)
    return `${work} At most ${duration(drain.deadline)} left to wait.`;
  if (drain.step === "signal")
    return `${work} The drain is over. The app waits for SIGTERM, and serves until then.`;
  return `${work} The drain is over, and the app stops.`;
}

/** Return when the process started, in seconds since the epoch. It tells one process from the next. */
function bornAt(status, now) {
  const start = status.start;
  const first = status.transitions[0];
  if (!start) return first ? first.at : now;
  const end = status.transitions.find((each) => each.to === "ready" || each.to === "draining");
  return start.over && end ? end.at - start.seconds : now - start.seconds;
}

function historyOf(status, now) {
  const born = bornAt(status, now);
  const names = ["starting", ...status.transitions.map((each) => each.to)];
  const starts = [born, ...status.transitions.map((each) => each.at)];
  const causes = ["", ...status.transitions.map((each) => each.cause)];
  const reached = names.map((name, index) => ({
    name,
    at: starts[index],
    lasted: OVER.includes(name) ? null : (starts[index + 1] ?? now) - starts[index],
    cause: causes[index],
    kind: index === names.length - 1 ? "now" : "past",
  }));
  const last = Math.max(...names.map((name) => PATH.indexOf(name)));
  const next = OVER.includes(status.state) ? [] : PATH.slice(last + 1);
  return [...reached, ...next.map((name) => ({ name, kind: "next" }))];
}

function paintHistory(status, now) {
  fill(
    $("history"),
    historyOf(status, now),
    () => {
      const item = make("li");
      item.parts = ["name", "at", "lasted", "cause"].map((kind) => make("span", kind));
      item.append(...item.parts);
      return item;
    },
    (item, entry) => {
      const [name, at, lasted, cause] = item.parts;
      mark(item, "kind", entry.kind);
      if (entry.kind === "now") item.setAttribute("aria-current", "step");
      else item.removeAttribute("aria-current");
      put(name, plain(entry.name).toUpperCase());
      put(at, entry.at ? clock(entry.at, now) : "not yet");
      put(
        lasted,
        entry.lasted === null || entry.lasted === undefined
          ? ""
          : `${entry.kind === "now" ? "for " : ""}${exact(entry.lasted)}`,
      );
      put(cause, entry.cause === entry.name ? "" : plain(entry.cause ?? "", 80));
    },
  );
}

function paintFigures(status, oldest) {
  const results = byKind(status).map(({ path, ok }) => [
    path,
    ok === null ? "–" : String(ok),
    ok === null ? "none" : ok ? "yes" : "no",
  ]);
  const figures = [
    ...results,
    ["In flight", count(status.in_flight)],
    ["Oldest", oldest === null ? "–" : duration(oldest)],
    ["Requests", count(status.requests ?? 0)],
    ["Told to close", count(status.told_to_go ?? 0)],
  ];
  // With workers, this would be the loop of the parent process, which serves nothing.
  if (!status.workers?.length) {
    figures.push(["Loop delay", milliseconds((status.loop_lag ?? 0) * 1000)]);
  }
  fill(
    $("figures"),
    figures,
    () => {
      const group = make("div");
      group.parts = [make("dt"), make("dd")];
      group.append(...group.parts);
      return group;
    },
    (group, [name, value, result]) => {
      put(group.parts[0], name);
      put(group.parts[1], value);
      if (result) mark(group.parts[1], "result", result);
    },
  );
}

function paintIcon(mood) {
  const icon = $("icon");
  if (icon.dataset.mood === mood) return;
  icon.dataset.mood = mood;
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><circle cx="8" cy="8" r="6" fill="${COLOURS[mood]}"/></svg>`;
  icon.href = `data:image/svg+xml,${encodeURIComponent(svg)}`;
}
