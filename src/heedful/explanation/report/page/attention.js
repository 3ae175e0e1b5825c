// Where attention goes: every head small, one of them large.

const THUMBNAIL = 96;
const LINKS = [1, 3, 5, 10, 20];

function attentionView(view) {
  const node = element("div", { className: "attention" }, element("p", {}, "Unpacking…"));
  Promise.all(view.measures.map(({ steps }) => unpack(steps))).then(
    (unpacked) => node.replaceChildren(...new Attention(view, unpacked).parts),
    (error) => node.replaceChildren(element("p", {}, `The weights cannot be unpacked: ${error.message}`)),
  );
  return node;
}

async function unpack(text) {
  const packed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

class Attention {
  constructor(view, unpacked) {
    this.view = view;
    this.unpacked = unpacked;
    this.measure = 0;
    [this.queries, this.keys] = [view.queries.map(clean), view.keys.map(clean)];
    this.links = LINKS[1];
    this.isWhole = false;
    this.large = element("div", { className: "card large", tabIndex: -1 });
    this.thumbnails = [];
    const hint = "Attention is where a model looks. It does not say why the model answers as it does: contributions do.";
    this.parts = [element("p", { className: "hint" }, hint), this.overview(), this.large];
    this.enlarge(0, 0);
  }

  /** Of 255, on a square-root scale; (T, S). */
  stepsOf(layer, head) {
    const size = this.queries.length * this.keys.length;
    const start = (layer * this.view.heads.length + head) * size;
    return this.unpacked[this.measure].subarray(start, start + size);
  }

  value(steps, query, key) {
    return this.view.measures[this.measure].largest * (steps[query * this.keys.length + key] / 255) ** 2;
  }

  shown(steps, query, key) {
    const value = this.value(steps, query, key);
    return this.measure === 0 ? percent(value) : number(value, 3);
  }

  overview() {
    const { heads } = this.view;
    const rows = this.view.layers.map((layer, place) =>
      element("tr", {}, element("th", { scope: "row" }, `layer ${layer}`), heads.map((_, head) => element("td", {}, this.thumbnail(place, head)))),
    );
    const grid = element(
      "table",
      { className: "heads" },
      element("caption", {}, "All heads; choose one to see it large"),
      element("thead", {}, element("tr", {}, element("td"), heads.map((head) => element("th", { scope: "col" }, `head ${head}`)))),
      element("tbody", {}, rows),
    );
    const measures = this.view.measures.map(({ name }, place) => [place, name]);
    const measured = choice("Show", measures, this.measure, (place) => {
      this.measure = place;
      redraw();
      this.enlarge(...this.chosen);
    });
    const choosers = measures.length > 1 ? element("div", { className: "choosers" }, measured) : [];
    return card("Heads", choosers, element("div", { className: "scroll" }, grid));
  }

  name(layer, head) {
    return `layer ${this.view.layers[layer]}, head ${this.view.heads[head]}`;
  }

  thumbnail(layer, head) {
    const canvas = element("canvas", { width: Math.min(this.keys.length, THUMBNAIL), height: Math.min(this.queries.length, THUMBNAIL) });
    const label = this.name(layer, head);
    const button = element("button", { type: "button", "aria-label": label, "aria-pressed": "false", title: label }, canvas);
    button.addEventListener("click", () => {
      this.enlarge(layer, head);
      this.large.scrollIntoView({ block: "nearest" });
    });
    const draw = () => this.shrink(canvas, this.stepsOf(layer, head));
    draw();
    redrawn.add(draw);
    this.thumbnails.push(button);
    return button;
  }

  /** Each pixel is the largest weight of the cells that it stands for. */
  shrink(canvas, steps) {
    const [wide, high] = [this.keys.length, this.queries.length];
    const image = new ImageData(canvas.width, canvas.height);
    const ink = colour("for");
    const columns = Array.from({ length: wide }, (_, key) => Math.floor((key * canvas.width) / wide));
    for (let at = 0; at < image.data.length; at += 4) image.data.set(ink, at);
    for (let query = 0; query < high; query += 1) {
      const row = Math.floor((query * canvas.height) / high) * canvas.width;
      for (let key = 0; key < wide; key += 1) {
        const at = 4 * (row + columns[key]) + 3;
        image.data[at] = Math.max(image.data[at], steps[query * wide + key]);
      }
    }
    canvas.getContext("2d").putImageData(image, 0, 0);
  }

  enlarge(layer, head) {
    this.chosen = [layer, head];
    const chosen = layer * this.view.heads.length + head;
    this.thumbnails.forEach((button, place) => button.setAttribute("aria-pressed", place === chosen));
    const steps = this.stepsOf(layer, head);
    this.strongest = this.queries.map((_, query) => this.top(steps, query));
    this.readout = readout("Point at a query, or move with the arrow keys.");
    const isSelf = this.view.of !== "cross";
    const text = (names, label, onpoint) => words(names.flatMap((name, place) => [[name, place], [" ", null]]), label, onpoint);
    this.queryText = text(this.queries, "Queries; arrow keys move", (query) => this.point(query));
    this.keyText = text(this.keys, "Keys; arrow keys move", (key) => this.pointKey(key, steps));
    const kept = choice("Show", [[false, "the strongest links"], [true, "every weight"]], this.isWhole, (value) => this.change("isWhole", value));
    const counts = LINKS.map((count) => new Option(count, count, false, count === this.links));
    const count = element("select", { onchange: (event) => this.change("links", +event.target.value) }, counts);
    this.large.replaceChildren(
      element("h3", {}, this.name(layer, head)),
      element("div", { className: "choosers" }, kept, element("label", {}, element("span", {}, "links of each query"), count)),
      this.readout,
      element(
        "div",
        { className: "beside" },
        this.map(steps),
        element(
          "div",
          {},
          element("h4", {}, isSelf ? "From each token" : "From each token of the answer"),
          this.queryText.node,
          element("h4", {}, isSelf ? "to the tokens" : "to the tokens of the source"),
          this.keyText.node,
        ),
      ),
      opened("The strongest links as a table", () => this.table(steps)),
    );
  }

  change(name, value) {
    this[name] = value;
    this.enlarge(...this.chosen);
  }

  /** The keys that a query looks at most, at most `links` of them, strongest first. */
  top(steps, query) {
    const row = steps.subarray(query * this.keys.length, (query + 1) * this.keys.length);
    const keys = [];
    for (let key = 0; key < row.length; key += 1) {
      if (row[key] === 0 || (keys.length === this.links && row[key] <= row[keys[keys.length - 1]])) continue;
      let place = keys.length;
      while (place && row[keys[place - 1]] < row[key]) place -= 1;
      keys.splice(place, 0, key);
      if (keys.length > this.links) keys.pop();
    }
    return keys;
  }

  map(steps) {
    const kept = this.strongest.map((keys) => new Set(keys));
    const score = (query, key) => (this.isWhole || kept[query].has(key) ? steps[query * this.keys.length + key] / 255 : 0);
    const largest = this.isWhole ? largestOf(steps) / 255 : largestOf(this.strongest.map((keys, query) => score(query, keys[0])));
    return heatMap({
      rows: this.queries,
      columns: this.keys,
      score,
      largest,
      isSparse: !this.isWhole,
      label: `${this.name(...this.chosen)}: queries are rows, keys columns`,
      onpoint: (query, key) => {
        this.point(query);
        if (query !== null) this.say(this.queries[query], `→ ${this.keys[key]}: ${this.shown(steps, query, key)}`);
      },
    });
  }

  /** A query: the keys that it looks at most light up. */
  point(query) {
    const steps = this.stepsOf(...this.chosen);
    const keys = query === null ? [] : this.strongest[query];
    this.keyText.spans.forEach((span) => tint(span, 0, 0));
    this.queryText.spans.forEach((span) => tint(span, 0, 0));
    const largest = keys.length ? this.value(steps, query, keys[0]) : 0;
    for (const key of keys) tint(this.keyText.spans[key], this.value(steps, query, key), largest);
    this.queryText.select(new Set(query === null ? [] : [query]));
    this.keyText.select(new Set());
    if (query === null) return;
    this.queryText.reveal(query);
    if (keys.length) this.keyText.reveal(keys[0]);
    this.say(this.queries[query], `→ ${this.linksOf(steps, query)}`);
  }

  /** A key: the queries that have it among those they look at most light up. */
  pointKey(key, steps) {
    this.point(null);
    if (key === null) return;
    const found = this.queries.map((_, query) => query).filter((query) => this.strongest[query].includes(key));
    const largest = largestOf(found.map((query) => this.value(steps, query, key)));
    for (const query of found) tint(this.queryText.spans[query], this.value(steps, query, key), largest);
    this.keyText.select(new Set([key]));
    this.say(this.keys[key], `is looked at most by ${found.length} of ${this.queries.length}`);
  }

  say(name, rest) {
    this.readout.replaceChildren(element("b", { dir: "auto" }, name), ` ${rest}`);
  }

  linksOf(steps, query) {
    return this.strongest[query].map((key) => `${this.keys[key]} ${this.shown(steps, query, key)}`).join(", ");
  }

  table(steps) {
    const rows = this.queries.map((query, place) => [query, this.linksOf(steps, place)]);
    return table("The keys that each query looks at most", [["query", "word"], ["keys", ""]], rows);
  }
}
