// The elements of the page. Only what has changed is written, so that a tick costs little, and a
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

/** Set the start and the length of a bar, as parts of the whole. The CSP allows no style attribute. */
function stretch(element, from, length) {
  const placed = `${from.toFixed(4)} ${length.toFixed(4)}`;
  if (element.placed === placed) return;
  element.placed = placed;
  element.style.setProperty("--from", `${(from * 100).toFixed(2)}%`);
  element.style.setProperty("--length", `${(length * 100).toFixed(2)}%`);
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

/** Write the end of the scale above the pictures of a table. */
const scale = (section, end) => put(section.querySelector(".axis").lastElementChild, end);

/** Make a cell hold a picture of a bar. */
function barred(line, index) {
  const bar = make("i", "bar");
  bar.setAttribute("aria-hidden", "true"); // not the cell, or the next ones would be in its column
  line.parts[index].append(bar);
  line.bar = bar;
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

// Long tables show their first rows, and all of them on demand.

const opened = new Set();

function first(section, items, few, total = items.length) {
  const button = section.querySelector(".more");
  show(button, total > few);
  const all = opened.has(section.id);
  mark(button, "open", String(all));
  if (button.getAttribute("aria-expanded") !== String(all)) {
    button.setAttribute("aria-expanded", String(all));
  }
  const more = total > MOST ? `Show ${count(MOST)}` : `Show all ${count(total)}`;
  put(button, all ? `Show only ${few}` : more);
  return all ? items : items.slice(0, few);
}

/** Tell a screen reader about a change. Nothing else on the page is announced. */
function say(text) {
  $("said").textContent = text;
}

async function copy(button, code) {
  let copied = true;
  try {
    await navigator.clipboard.writeText(code.textContent);
  } catch {
    copied = false; // not a secure context, or not allowed
    getSelection().selectAllChildren(code);
  }
  const label = button.firstElementChild;
  put(label, copied ? "Copied" : "Selected");
  say(copied ? "Copied to the clipboard." : "The command is selected. Copy it with your keyboard.");
  clearTimeout(button.later);
  button.later = setTimeout(() => put(label, "Copy"), 2000);
}
