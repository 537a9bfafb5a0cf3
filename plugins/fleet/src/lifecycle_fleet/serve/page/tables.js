// The tables: the pods of a workload, the problems, and the pods that have ended badly.

const FEW = 8;
const MOST = 200;

const HEADS = ["Pod", "State", "For", "Clients", "Services", "Restarts", "Last end", "Node"];
const CELLS = ["name", "state", "number for", "clients", "services", "number", "end", "node"];

function paintTable(element, group) {
  if (!element.open || !group) return;
  const table = (element.table ??= tableFor(element));
  const limit = lanes.limits.get(group.name) ?? ROWS;
  const pods = group.picked;
  describe(table, "aria-label", `Pods of ${plain(group.workload, 120) || "no workload"}`);
  fill(table.tBodies[0], pods.slice(0, limit), makeRow, paintRow);
  show(element.button, pods.length > limit);
  put(element.button, `Show ${count(Math.min(MOST, pods.length - limit))} more`);
}

function tableFor(element) {
  const head = make("tr");
  HEADS.forEach((name, index) => {
    const cell = make("th", CELLS[index], name);
    cell.scope = "col";
    head.append(cell);
  });
  const table = make("table", "list pods", make("thead", "", head), make("tbody"));
  element.button = make("button", "more");
  element.button.type = "button";
  element.button.addEventListener("click", () => {
    const { name } = element.group;
    lanes.limits.set(name, (lanes.limits.get(name) ?? ROWS) + MOST);
    paintTable(element, element.group);
  });
  element.append(table, element.button);
  return table;
}

function makeRow() {
  const line = row(CELLS, 0);
  line.name = make("span");
  line.problem = make("span", "problem");
  line.parts[0].append(line.name, line.problem);
  return line;
}

function paintRow(line, pod) {
  const [, state, lasted, clients, services, restarts, end, node] = line.parts;
  mark(line, "kind", pod.problem ? "problem" : pod.kind);
  put(line.name, plain(pod.name, 253));
  put(line.problem, pod.problem ? sentence(plain(pod.problem, 200)) : "");
  put(state, plain(pod.state, 80) + (pod.leaving && !LEAVING.includes(pod.state) ? ", deleted" : ""));
  line.since = pod.since;
  age(line, lasted);
  set(clients, { yes: "find it", no: "do not find it", "?": "not known" }[pod.in_slices] ?? "");
  set(services, servicesOf(pod.told));
  put(restarts, count(pod.restarts));
  set(end, endOf(pod.last_end));
  set(node, plain(pod.node, 80));
}

/** Write a cell, which narrow screens leave out if there is nothing in it. */
function set(cell, text) {
  put(cell, text || "–");
  mark(cell, "none", String(!text));
}

const LEAVING = ["draining", "terminating", "stopped"];

function servicesOf(told) {
  if (!told) return "not reported";
  const [online, offline] = [told.online, told.offline].map((names) =>
    names.map((name) => plain(name, 60)).join(", "),
  );
  return [online, offline && `offline: ${offline}`].filter(Boolean).join("; ");
}

function endOf(last) {
  if (!last) return "";
  const reason = last.reason && last.reason !== "Completed" ? `, ${plain(last.reason, 60)}` : "";
  return `${plain(last.how, 40)}, exit code ${number(last.exit_code)}${reason}`;
}

// Ages go on without any change. Only those that are on the screen are written.

function age(line, cell) {
  line.age = cell;
  put(cell, line.since ? duration(seen.now() - line.since) : "–");
}

function paintAges() {
  for (const element of $("groups").querySelectorAll("details[open]")) {
    for (const line of element.table?.tBodies[0].lines ?? []) age(line, line.age);
  }
  for (const id of ["problems", "ends"]) {
    for (const line of $(id).querySelector("tbody").lines ?? []) age(line, line.age);
  }
}

function paintProblems(fleet) {
  const section = $("problems");
  const pods = [...fleet.problems.values()].sort(
    (one, other) => other.since - one.since || compare(one.name, other.name),
  );
  show(section, pods.length > 0);
  put(section.querySelector(".note"), `${several(pods.length, "pod")}, the latest first.`);
  fill(section.querySelector("tbody"), first(section, pods, FEW, MOST), makeLine, (line, pod) => {
    const [name, problem, state, lasted] = line.parts;
    paintName(name, pod);
    put(problem, sentence(plain(pod.problem, 200)));
    put(state, plain(pod.state, 80));
    line.since = pod.since;
    age(line, lasted);
  });
}

function paintEnds(fleet) {
  const section = $("ends");
  show(section, fleet.ends.length > 0);
  put(section.querySelector(".note"), "Pods that are gone, the latest first.");
  fill(section.querySelector("tbody"), first(section, fleet.ends, FEW, MOST), makeLine, (line, end) => {
    const [name, how, reason, lasted] = line.parts;
    paintName(name, end);
    put(how, sentence(ENDS[end.how] ?? plain(end.how, 40)));
    put(reason, plain(end.reason, 120) || "–");
    line.since = end.at;
    age(line, lasted);
  });
}

const ENDS = {
  killed: "Killed, for example at the end of its grace period or out of memory",
  "cut off": "Work was cut off at the end of the drain",
  "hook failed": "The preStop hook failed",
  failed: "Exited with an error",
};

function makeLine() {
  const line = row(["name", "what", "state", "number for"], 0);
  const [where, name] = [make("span", "dim"), make("span")];
  line.parts[0].append(where, name);
  line.parts[0].parts = [where, name];
  return line;
}

function paintName(cell, pod) {
  const [where, name] = cell.parts;
  put(where, `${plain(pod.namespace, 80)}/`);
  put(name, plain(pod.name, 253));
}
