// The tables of the page. Each function paints one section from /status or /inflight.

const FEW = 20;
const FEW_STEPS = 12;
const MOST_REGISTRIES = 5; // as columns
const MOST = 1000; // what /inflight answers at most
const SHORTEST = 0.001; // seconds; a shorter step of the start is not drawn

function paintWork(work, problem) {
  const section = $("work");
  const entries = work.entries;
  const shown = first(section, entries, FEW, work.in_flight);
  const body = section.querySelector("tbody");
  fill(
    body,
    shown,
    () => row(["age", "name", "client dim", "protocol dim", "number process dim"], 1),
    (line, entry) => {
      const [age, name, client, protocol, worker] = line.parts;
      put(age, duration(entry.age));
      put(name, plain(entry.name));
      put(client, plain(entry.agent));
      put(protocol, plain(entry.protocol, 24));
      put(worker, entry.worker ? String(entry.worker) : "");
    },
  );
  show($("work-table"), shown.length > 0);
  put($("work-note"), problem || noteOnWork(work.in_flight, shown.length));
}

function noteOnWork(total, shown) {
  if (!total) return "Nothing is in flight.";
  if (!shown) return `${count(total)} in flight, without names.`;
  return shown < total
    ? `The oldest ${count(shown)} of ${count(total)}.`
    : `${count(total)}, the oldest first.`;
}

function paintWorkers(workers) {
  const section = $("workers");
  show(section, workers.length > 0);
  const body = section.querySelector("tbody");
  fill(
    body,
    workers,
    () => row(["process", "name", "number age", "progress", "number busy", "number served"], 0),
    (line, worker) => {
      const [pid, server, age, progress, inFlight, served] = line.parts;
      put(pid, String(worker.pid));
      put(server, plain(worker.server));
      put(age, duration(worker.age));
      put(progress, worker.stalled >= 1 ? `none for ${duration(worker.stalled)}` : "yes");
      mark(progress, "result", worker.stalled >= 1 ? "no" : "yes");
      put(inFlight, count(worker.in_flight));
      put(served, count(worker.served));
    },
  );
  put($("workers-note"), several(workers.length, "process", "processes"));
}

const KINDS = [
  ["startup", "/startup"],
  ["readiness", "/ready"],
  ["liveness", "/live"],
];

/** Return the answers of each kind, and its result: null if nobody has asked yet. */
const byKind = ({ probes, state }) =>
  KINDS.map(([kind, path]) => {
    const answers = probes.filter((probe) => probe.kind === kind);
    // Nobody may have asked since the state has changed.
    const unready = kind === "readiness" && state !== "ready";
    const ok = answers.length ? answers.every((probe) => probe.ok) : null;
    return { kind, path, answers, ok: unready ? false : ok };
  });

function paintProbes(status) {
  const { probes, state } = status;
  const table = document.querySelector("table.probes");
  const groups = byKind(status);
  fill(
    table,
    groups,
    () => {
      const body = make("tbody");
      const head = row(["result", "group"], 1);
      head.parts[1].scope = "rowgroup";
      head.parts[1].colSpan = 4;
      body.append(head);
      body.head = head;
      return body;
    },
    (body, group) => {
      const [result, name] = body.head.parts;
      paintResult(result, group.ok);
      const unasked = group.answers.length ? "" : ", not asked yet";
      const late = group.ok === false && group.answers.every((probe) => probe.ok);
      const why = late && !unasked ? `, because the app is ${state.toUpperCase()}` : "";
      put(name, `${group.path}${unasked}${why}`);
      fill(
        body,
        group.answers,
        () => row(["result", "name", "reason", "number dim", "number dim"], 1),
        (line, probe) => {
          const [ok, named, reason, took, age] = line.parts;
          paintResult(ok, probe.ok);
          put(named, plain(probe.name));
          put(reason, plain(probe.reason));
          put(took, milliseconds(probe.ms));
          put(age, duration(probe.age));
        },
      );
    },
  );
  const bad = probes.filter((probe) => !probe.ok).length;
  put(
    $("probes-note"),
    bad
      ? `${count(bad)} of ${several(probes.length, "answer")} ${bad === 1 ? "is" : "are"} false.`
      : "The last answers. This page asks no probe itself.",
  );
}

function paintResult(cell, ok) {
  put(cell, ok === null ? "–" : ok ? "true" : "false");
  mark(cell, "result", ok === null ? "none" : ok ? "yes" : "no");
}

const confirmed = (service) =>
  Object.values(service.registrations).every((each) => each.registered === "yes");

function paintServices(services, state) {
  const section = $("services");
  const known = [...new Set(services.flatMap((each) => Object.keys(each.registrations)))];
  const names = known.length > MOST_REGISTRIES ? ["all registries"] : known;
  const needy = (each) => !LEAVING.includes(state) && (!each.online || !confirmed(each));
  const sorted = [...services.filter(needy), ...services.filter((each) => !needy(each))];
  const shown = first(section, sorted, FEW);
  show($("services-table"), services.length > 0);
  paintRegistries(section, names);
  const kinds = ["name", "number port", "online", ...names.map(() => "registry")];
  fill(
    section.querySelector("tbody"),
    shown,
    () => row(kinds, 0),
    (line, service) => {
      const [name, port, online] = line.parts;
      put(name, plain(service.name));
      put(port, service.port === null ? "–" : String(service.port));
      const held = Object.entries(service.held_by).map(([who, why]) =>
        plain(why ? `${who}: ${why}` : who),
      );
      put(online, service.online ? "online" : `offline (${held.join(", ")})`);
      mark(online, "result", service.online ? (LEAVING.includes(state) ? "none" : "yes") : "no");
      names.forEach((registry, index) => {
        const cell = line.parts[3 + index];
        const [text, result] =
          names === known ? registrationIn(service, registry) : registrations(service);
        put(cell, text);
        mark(cell, "result", result);
        mark(cell, "label", plain(registry));
      });
    },
  );
  put($("services-note"), noteOnServices(services, LEAVING.includes(state)));
}

function registrationIn(service, registry) {
  if (!Object.hasOwn(service.registrations, registry)) return ["–", "none"];
  const { registered, reason } = service.registrations[registry];
  return [`${plain(registered)}${reason ? `: ${plain(reason)}` : ""}`, plain(registered)];
}

function registrations(service) {
  const all = Object.keys(service.registrations).map(
    (name) => `${plain(name)} ${registrationIn(service, name)[0]}`,
  );
  return [all.join(", "), confirmed(service) ? "yes" : "no"];
}

function paintRegistries(section, names) {
  const head = section.querySelector("thead tr");
  const titles = ["Service", "Port", "State", ...names.map((name) => plain(name, 60))];
  if (head.shown === titles.join("\n")) return;
  head.shown = titles.join("\n");
  section.querySelector("tbody").replaceChildren();
  section.querySelector("tbody").lines = [];
  head.replaceChildren(
    ...titles.map((title, index) => {
      const cell = make("th", index === 1 ? "number port" : index > 2 ? "registry" : "", title);
      cell.scope = "col";
      return cell;
    }),
  );
}

function noteOnServices(services, leaving) {
  if (!services.length) return "No app services are exported.";
  if (leaving) {
    const there = services.filter((each) =>
      Object.values(each.registrations).some((one) => one.registered !== "no"),
    ).length;
    return there
      ? `${count(there)} of ${count(services.length)} not deregistered yet.`
      : `${count(services.length)}, all deregistered.`;
  }
  const offline = services.filter((each) => !each.online).length;
  const missing = services.filter((each) => each.online && !confirmed(each)).length;
  const parts = [];
  if (offline) parts.push(`${count(offline)} offline`);
  if (missing) parts.push(`${count(missing)} not registered everywhere`);
  return `${count(services.length)}${parts.length ? `, ${parts.join(", ")}` : ", all online and registered"}.`;
}

function paintStart(start) {
  const section = $("start");
  show(section, Boolean(start));
  if (!start) return;
  const whole = Math.max(start.seconds, 0.001);
  const during = start.steps.filter(
    (step) => step.began < whole && (step.seconds >= SHORTEST || step.running),
  );
  const longest = [...during].sort((one, other) => other.seconds - one.seconds);
  const wanted = new Set(first(section, longest, FEW_STEPS));
  const shown = during.filter((step) => wanted.has(step)); // in the order in which they happened
  fill(
    section.querySelector("tbody"),
    shown,
    () => barred(row(["name", "picture", "number"], 0), 1),
    (line, step) => {
      put(line.parts[0], `${plain(step.name)}${step.running ? " (running)" : ""}`);
      put(line.parts[2], exact(step.seconds));
      const from = Math.max(0, step.began / whole);
      stretch(line.bar, from, Math.min(step.seconds / whole, 1 - from));
      mark(line, "kind", step.running ? "running" : step === longest[0] ? "slowest" : "done");
    },
  );
  show($("start-table"), shown.length > 0);
  scale(section, exact(whole));
  const slowest = longest
    .slice(0, 2)
    .map((step) => `${plain(step.name, 60)} ${exact(step.seconds)}`);
  const names = slowest.length ? ` Slowest: ${slowest.join(", ")}.` : "";
  put($("start-note"), `${start.over ? "Took" : "Running for"} ${exact(start.seconds)}.${names}`);
}

function paintPlugins(plugins) {
  const broken = plugins.filter((each) => !each.ok);
  const sorted = [...broken, ...plugins.filter((each) => each.ok)];
  fill(
    $("plugins").querySelector("ul"),
    sorted,
    () => make("li"),
    (line, plugin) => {
      put(
        line,
        plugin.problem ? `${plain(plugin.name)}: ${plain(plugin.problem)}` : plain(plugin.name),
      );
      mark(line, "result", plugin.ok ? "yes" : "no");
    },
  );
  put(
    $("plugins-note"),
    broken.length
      ? `${count(broken.length)} of ${count(plugins.length)} failed.`
      : `${count(plugins.length)}, all work.`,
  );
}
