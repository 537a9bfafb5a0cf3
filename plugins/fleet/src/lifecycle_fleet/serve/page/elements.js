// The elements of the page. Only what has changed is written, so that a change costs little, and a
// screen reader, a selection and the focus stay where they are.

const $ = (id) => document.getElementById(id);

function put(element, text) {
  if (element.shown === text) return;
  element.shown = text;
  element.textContent = text;
}

function mark(element, name, value) {
  if (element.dataset[name] !== value) element.dataset[name] = value;
}

function show(element, wanted) {
  if (element.hidden === wanted) element.hidden = !wanted;
}

function describe(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

/** Some screen readers take a table for none where narrow screens get a grid, unless it has roles. */
const ROLES = { table: "table", thead: "rowgroup", tbody: "rowgroup", tr: "row", th: "columnheader" };

for (const [tag, role] of Object.entries(ROLES)) {
  for (const each of document.querySelectorAll(tag)) each.setAttribute("role", role);
}

function make(tag, kind, ...children) {
  const element = document.createElement(tag);
  if (ROLES[tag]) element.setAttribute("role", ROLES[tag]);
  if (kind) element.className = kind;
  element.append(...children);
  return element;
}

/** Make a row of cells. */
function row(kinds, head = -1) {
  const line = make("tr");
  line.parts = kinds.map((kind, index) => {
    const cell = make(index === head ? "th" : "td", kind);
    if (index === head) cell.scope = "row";
    cell.setAttribute("role", index === head ? "rowheader" : "cell");
    line.append(cell);
    return cell;
  });
  return line;
}

/** Give an element as many children as there are items, and paint each item. */
function fill(parent, items, create, paint) {
  const lines = (parent.lines ??= []);
  while (lines.length > items.length) lines.pop().remove();
  if (lines.length < items.length) {
    const added = [];
    while (lines.length < items.length) {
      const line = create();
      lines.push(line);
      added.push(line);
    }
    parent.append(...added);
  }
  items.forEach((item, index) => paint(lines[index], item, index));
}

/** Give an element exactly these children. What is there already, in this order, is not moved. */
function arrange(parent, children) {
  let next = parent.firstChild;
  const wanted = new Set(children);
  for (const child of children) {
    while (next !== null && next !== child && !wanted.has(next)) {
      const gone = next;
      next = next.nextSibling;
      gone.remove();
    }
    if (next === child) next = next.nextSibling;
    else parent.insertBefore(child, next);
  }
  while (next !== null) {
    const gone = next;
    next = next.nextSibling;
    gone.remove();
  }
}

// Long lists show their first items, and all of them on demand.

const opened = new Set();

function first(section, items, few, most) {
  const button = section.querySelector(".more");
  show(button, items.length > few);
  const all = opened.has(section.id);
  mark(button, "open", String(all));
  describe(button, "aria-expanded", String(all));
  const more = items.length > most ? `Show ${count(most)}` : `Show all ${count(items.length)}`;
  put(button, all ? `Show only ${few}` : more);
  return items.slice(0, all ? most : few);
}

/** Tell a screen reader about a change. Nothing else on the page is announced. */
function say(text) {
  $("said").textContent = text;
}
