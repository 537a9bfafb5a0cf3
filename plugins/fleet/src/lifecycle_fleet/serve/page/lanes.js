// The workloads: each one a line with a square for each pod, and a table if it is opened.

const SQUARES = 160; // of one lane
const GROUPS = 120; // at first
const ALL_GROUPS = 5000;
const ROWS = 50; // of one table, at first

const lanes = { groups: new Map(), spaces: new Map(), limits: new Map() };

/** Paint the groups that have changed, or all of them after a change of the filter. */
function paintGroups(fleet, all) {
  const dirty = fleet.dirty;
  fleet.dirty = new Set();
  const shown = fleet.sorted().filter((group) => pick(group, all || dirty.has(group.name)));
  const listed = first($("pods"), shown, GROUPS, ALL_GROUPS);
  const wanted = [];
  let space = null;
  for (const group of listed) {
    if (group.namespace !== space) {
      space = group.namespace;
      wanted.push(spaceOf(space));
    }
    const element = elementOf(group);
    if (element.group !== group || all || dirty.has(group.name)) {
      element.group = group;
      paintGroup(element, group);
    }
    wanted.push(element);
  }
  arrange($("groups"), wanted);
  forget(lanes.groups, fleet.groups);
  forget(lanes.limits, fleet.groups);
  forget(lanes.spaces, new Set(fleet.sorted().map((group) => group.namespace)));
  const pods = shown.reduce((sum, group) => sum + group.picked.length, 0);
  put(
    $("pods").querySelector(".note"),
    filtered()
      ? `${several(pods, "pod")} in ${several(shown.length, "workload")} match.`
      : `${several(shown.length, "workload")}.`,
  );
  show($("none"), !shown.length);
  put($("none"), fleet.pods.size ? "No pod matches." : "There are no pods with pod-lifecycle.");
}

/** Choose the pods of a group that are shown, and return whether there are any. */
function pick(group, again) {
  if (again || !group.picked) group.picked = podsOf(group).filter(matches);
  return group.picked.length > 0;
}

function forget(known, there) {
  for (const name of known.keys()) {
    if (!there.has(name)) known.delete(name);
  }
}

function spaceOf(name) {
  let element = lanes.spaces.get(name);
  if (!element) {
    element = make("h3", "space");
    put(element, plain(name, 80));
    lanes.spaces.set(name, element);
  }
  return element;
}

function elementOf(group) {
  let element = lanes.groups.get(group.name);
  if (!element) {
    const [name, counts, lane] = ["name", "counts", "lane"].map((kind) => make("span", kind));
    const [more, problem] = [make("span", "rest"), make("span", "problem")];
    lane.setAttribute("role", "img");
    element = make("details", "group", make("summary", "", name, counts, problem, lane, more));
    element.parts = { name, counts, problem, lane, more };
    element.addEventListener("toggle", () => paintTable(element, element.group));
    lanes.groups.set(group.name, element);
  }
  return element;
}

function paintGroup(element, group) {
  const { name, counts, problem, lane, more } = element.parts;
  const pods = group.picked;
  put(name, plain(group.workload, 120) || "Pods without a workload");
  const text = countsOf(pods);
  put(counts, text);
  const bad = pods.filter((pod) => pod.problem).length;
  put(problem, bad ? several(bad, "problem") : "");
  const some =
    pods.length > SQUARES
      ? [...pods].sort((one, other) => Number(!one.problem) - Number(!other.problem)).slice(0, SQUARES)
      : pods;
  fill(
    lane,
    some,
    () => make("i"),
    (square, pod, index) => {
      mark(square, "kind", pod.problem ? "problem" : pod.kind);
      mark(square, "new", String(index > 0 && pod.revision !== some[index - 1].revision));
      const title = `${plain(pod.name, 80)}: ${plain(pod.problem || pod.state, 120)}`;
      if (square.title !== title) square.title = title;
    },
  );
  describe(lane, "aria-label", text);
  put(more, pods.length > SQUARES ? `+${count(pods.length - SQUARES)}` : "");
  if (element.open) paintTable(element, group);
}

/** Return `18 of 20 ready, 1 draining`. */
function countsOf(pods) {
  const by = new Map();
  for (const pod of pods) by.set(pod.kind, (by.get(pod.kind) ?? 0) + 1);
  const ready = by.get("ready") ?? 0;
  const others = KINDS.filter((kind) => kind !== "ready" && by.get(kind));
  return [
    ready === pods.length ? `${count(ready)} ready` : `${count(ready)} of ${count(pods.length)} ready`,
    ...others.map((kind) => `${count(by.get(kind))} ${kind}`),
  ].join(", ");
}
