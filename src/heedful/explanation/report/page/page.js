// What all views share: elements, numbers, words that can be pointed at, tables.

const data = JSON.parse(document.getElementById("data").textContent);
const SVG = "http://www.w3.org/2000/svg";

/** An element; children that are strings become text, never markup. */
function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name in made) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children.flat(2));
  return made;
}

function drawn(tag, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

let identifiers = 0;
const identifier = () => `id${(identifiers += 1)}`;

const fixed = (value, digits = 2) => Math.abs(value).toFixed(digits);
const number = (value, digits = 2) => (value < 0 && +fixed(value, digits) ? "−" : "") + fixed(value, digits);
const signed = (value, digits = 2) => (+fixed(value, digits) ? (value < 0 ? "−" : "+") : "") + fixed(value, digits);
const percent = (share) => `${(100 * share).toFixed(1)}%`;
const sum = (values) => values.reduce((total, value) => total + value, 0);
const largestOf = (values) => values.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
const clean = (text) => text.replace(/\p{Cc}/gu, (c) => (c === "\n" ? c : "␣"));

/** Colour a node by a score: --w is its strength, and the class its sign. */
function tint(node, score, largest) {
  const share = largest > 0 ? Math.min(Math.abs(score) / largest, 1) : 0;
  const seen = share >= 0.04;
  node.style.setProperty("--w", share.toFixed(3));
  node.classList.toggle("for", seen && score > 0);
  node.classList.toggle("against", seen && score < 0);
}

/** A bar from the middle: to the right above 0, to the left below. */
function bar(score, largest) {
  const filled = element("span", { className: "fill" });
  const made = element("span", { className: "bar", "aria-hidden": "true" }, filled);
  tint(made, score, largest);
  return made;
}

/** A heading, and what stands below it. */
function card(title, ...children) {
  return element("section", { className: "card" }, element("h3", {}, title), children.flat());
}

/** What is built when it is opened for the first time. */
function opened(title, build) {
  const made = element("details", {}, element("summary", {}, title));
  made.addEventListener("toggle", () => made.open && made.children.length === 1 && made.append(build()));
  return made;
}

/** Columns are [title, class]; a row is cells, each a string or a node. The first cell is the row's heading. */
function table(caption, columns, rows) {
  const head = columns.map(([title, kind]) => element("th", { scope: "col", className: kind }, title));
  const body = rows.map((row) =>
    element(
      "tr",
      {},
      row.map((cell, place) =>
        place === 0
          ? element("th", { scope: "row", className: columns[0][1], dir: "auto" }, cell)
          : element("td", { className: columns[place][1] }, cell),
      ),
    ),
  );
  const made = element(
    "table",
    {},
    element("caption", {}, caption),
    element("thead", {}, element("tr", {}, head)),
    element("tbody", {}, body),
  );
  return element("div", { className: "scroll", tabIndex: 0, role: "region", "aria-label": caption }, made);
}

/** One of a few: radio buttons that look like one switch. */
function choice(legend, options, chosen, onchoose) {
  const name = identifier();
  const buttons = options.map(([value, title]) => {
    const input = element("input", { type: "radio", name, value, checked: value === chosen });
    input.addEventListener("change", () => onchoose(value));
    return element("label", {}, input, element("span", {}, title));
  });
  return element("fieldset", { className: "choice" }, element("legend", {}, legend), buttons);
}

/** A line that says what is pointed at, aloud too. */
const readout = (hint) => element("p", { className: "readout", "aria-live": "polite" }, hint);

/**
 * A text whose words can be pointed at: with the mouse, by click, or by keys once it has the focus.
 * onpoint(word) is called with the number of the word, or null.
 */
function words(pieces, label, onpoint) {
  const spans = [];
  const node = element("div", { className: "words", role: "listbox", "aria-label": label, dir: "auto", lang: "" });
  for (const [text, place] of pieces) {
    if (place === null) {
      node.append(clean(text));
      continue;
    }
    const span = element("span", { role: "option", tabIndex: spans.length ? -1 : 0, "aria-selected": "false" });
    span.textContent = clean(text);
    spans[place] = span;
    node.append(span);
  }
  const places = new Map(spans.map((span, place) => [span, place]));
  let pinned = null;
  const pin = (place) => {
    pinned = place;
    onpoint(place);
  };
  const placeOf = (event) => places.get(event.target.closest("[role=option]")) ?? null;
  node.addEventListener("pointerover", (event) => onpoint(placeOf(event) ?? pinned));
  node.addEventListener("pointerleave", () => onpoint(pinned));
  node.addEventListener("click", (event) => pin(placeOf(event) === pinned ? null : placeOf(event)));
  node.addEventListener("focusin", (event) => {
    for (const span of spans) if (span.tabIndex === 0) span.tabIndex = -1;
    event.target.tabIndex = 0;
    if (event.target.matches(":focus-visible")) onpoint(placeOf(event));
  });
  node.addEventListener("focusout", () => onpoint(pinned));
  node.addEventListener("keydown", (event) => {
    const place = placeOf(event);
    if (event.key === "Escape") return pin(null);
    if (event.key === "Enter" || event.key === " ") pin(place === pinned ? null : place);
    else if (moves[event.key]) spans[moves[event.key](place, spans)]?.focus();
    else return undefined;
    return event.preventDefault();
  });
  const select = (chosen) => {
    for (const [place, span] of spans.entries()) {
      const isChosen = chosen.has(place);
      if ((span.getAttribute("aria-selected") === "true") !== isChosen) span.setAttribute("aria-selected", isChosen);
    }
  };
  const reveal = (place) => {
    const [top, bottom] = [spans[place].offsetTop, spans[place].offsetTop + spans[place].offsetHeight];
    const isSeen = top >= node.scrollTop && bottom <= node.scrollTop + node.clientHeight;
    if (!isSeen) node.scrollTop = top - node.clientHeight / 2;
  };
  return { node, spans, select, reveal };
}

/** Where a key leads from a word. */
const moves = {
  ArrowRight: (place, spans) => Math.min(place + 1, spans.length - 1),
  ArrowLeft: (place) => Math.max(place - 1, 0),
  Home: () => 0,
  End: (_, spans) => spans.length - 1,
  ArrowDown: (place, spans) => inNextLine(place, spans, 1),
  ArrowUp: (place, spans) => inNextLine(place, spans, -1),
};

/** The word of the next line, or the one before, that is nearest to straight below or above. */
function inNextLine(place, spans, step) {
  const from = spans[place].getBoundingClientRect();
  const line = (box) => Math.abs(box.top - from.top) > from.height / 2;
  let best = place;
  let distance = Infinity;
  let top = null;
  for (let next = place + step; spans[next]; next += step) {
    const box = spans[next].getBoundingClientRect();
    if (!line(box)) continue;
    top ??= box.top;
    if (Math.abs(box.top - top) > from.height / 2) break;
    const away = Math.abs(box.left - from.left);
    if (away < distance) [best, distance] = [next, away];
  }
  return best;
}

/** Pictures take their colours from the style sheet: these draw them again when that changes. */
const redrawn = new Set();
const redraw = () => redrawn.forEach((draw) => draw());

/** A colour of the style sheet as [red, green, blue]. */
function colour(name) {
  const probe = element("span", { className: "probe" });
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const parts = getComputedStyle(probe).color.match(/[\d.]+/g).slice(0, 3).map(Number);
  probe.remove();
  return parts;
}
