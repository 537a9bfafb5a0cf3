// The pods as the server tells them, by workload, and which of them are shown.

const KINDS = ["starting", "ready", "not ready", "offline", "draining", "ended"];

/** The pods of one moment. A snapshot makes a new one, which takes the place of the old one at once. */
class Fleet {
  constructor(about) {
    this.about = about;
    this.pods = new Map();
    this.groups = new Map();
    this.ends = about.ends ?? [];
    this.link = about.link ?? {};
    this.at = number(about.at);
    this.counts = new Map(KINDS.map((kind) => [kind, 0]));
    this.problems = new Map();
    this.dirty = new Set();
    this.order = null; // the groups by name, or null if it has to be made
  }

  /** Take the pods of an event. */
  take(change) {
    for (const [namespace, name] of change.gone ?? []) this.remove(`${namespace}/${name}`);
    for (const pod of change.pods ?? []) this.put(pod);
    if (change.ends) this.ends = change.ends;
    if (change.link) this.link = change.link;
    if (change.at) this.at = change.at;
  }

  put(pod) {
    const key = `${pod.namespace}/${pod.name}`;
    this.remove(key);
    this.pods.set(key, pod);
    const name = groupOf(pod);
    let group = this.groups.get(name);
    if (!group) {
      group = { name, namespace: pod.namespace, workload: pod.workload, pods: new Map() };
      this.groups.set(name, group);
      this.order = null;
    }
    group.pods.set(key, pod);
    group.sorted = null;
    this.counts.set(pod.kind, (this.counts.get(pod.kind) ?? 0) + 1);
    if (pod.problem) this.problems.set(key, pod);
    this.dirty.add(name);
  }

  remove(key) {
    const pod = this.pods.get(key);
    if (!pod) return;
    const name = groupOf(pod);
    const group = this.groups.get(name);
    this.pods.delete(key);
    this.problems.delete(key);
    this.counts.set(pod.kind, this.counts.get(pod.kind) - 1);
    group.pods.delete(key);
    group.sorted = null;
    if (!group.pods.size) {
      this.groups.delete(name);
      this.order = null;
    }
    this.dirty.add(name);
  }

  /** Return all groups, by namespace and workload. Pods without a workload come last. */
  sorted() {
    this.order ??= [...this.groups.values()].sort(
      (one, other) =>
        compare(one.namespace, other.namespace) ||
        Number(!one.workload) - Number(!other.workload) ||
        compare(one.workload, other.workload),
    );
    return this.order;
  }
}

const groupOf = (pod) => `${pod.namespace}/${pod.workload}`;
const compare = (one, other) => (one < other ? -1 : one > other ? 1 : 0);

/** Return the pods of a group by name, so that those of one revision are next to each other. */
function podsOf(group) {
  group.sorted ??= [...group.pods.values()].sort((one, other) => compare(one.name, other.name));
  return group.sorted;
}

// The filter: words that must all be found, and what the pod does.

const filter = { words: [], kind: "" };

function matches(pod) {
  if (filter.kind === "problem" ? !pod.problem : filter.kind && pod.kind !== filter.kind) {
    return false;
  }
  if (!filter.words.length) return true;
  pod.text ??= [pod.namespace, pod.workload, pod.name, pod.node, pod.state, pod.kind, pod.problem]
    .join(" ")
    .toLowerCase();
  return filter.words.every((word) => pod.text.includes(word));
}

const filtered = () => Boolean(filter.kind || filter.words.length);
