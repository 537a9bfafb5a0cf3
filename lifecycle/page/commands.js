// The commands that a person may copy. This page runs none of them.

const SHELL = [
  ["lifecycle status --watch", "Watch the state in a terminal"],
  ["lifecycle inflight --stacks", "Show the line of code at which each work stands"],
  ["lifecycle offline", "Take all app services offline. The process goes on"],
  ["lifecycle online", "Bring the app services online again"],
  ["lifecycle prestop", "Start the drain, and wait until it is over. There is no way back"],
];

// A name that a shell would read otherwise is not put into a command.
const NAME = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/;

function linesOf(status) {
  const { pod = "", namespace = "" } = status;
  const where = NAME.test(namespace) ? `-n ${namespace} ` : "";
  const before = pod ? `kubectl exec ${where}${NAME.test(pod) ? pod : "POD"} -- ` : "";
  const url = `${location.origin}/log-level?level=DEBUG`;
  // In its container, a command finds the port by itself.
  const known = pod || ["", "22222"].includes(location.port);
  const after = known ? "" : ` --port ${location.port}`;
  return [
    ...SHELL.map(([line, words]) => [before + line + after, words]),
    [
      `curl -X POST -H 'X-Lifecycle: 1' '${url}'`,
      "Log more, until you set level=NOTSET in the same way",
    ],
  ];
}

function paintCommands(status) {
  fill(
    $("commands").querySelector("ul"),
    linesOf(status),
    () => {
      const code = make("code");
      const button = make("button", "", make("span", "", "Copy"), make("span", "unseen"));
      button.type = "button";
      button.addEventListener("click", () => copy(button, code));
      const words = make("p", "note");
      const item = make("li", "", words, code, button);
      item.parts = [words, code, button];
      return item;
    },
    (item, [line, words]) => {
      const [note, code, button] = item.parts;
      put(note, words);
      put(code, line);
      put(button.lastElementChild, ` ${line}`); // its name for a screen reader
    },
  );
}
