// Why these words: a source and what was written from it, word by word or sentence by sentence.

const MANY_WORDS = 120; // of the source: a document, which is shown by sentences first
const MANY_CELLS = 20000; // beyond, a table is not for people
const SIDE_BY_SIDE = 18; // columns of each heat map with which two fit beside each other
const TOP_SOURCES = 3;

function writtenView(view, group) {
  const panel = new Writing(view);
  group.panels.push(panel);
  return panel.node;
}

/** Rows and columns summed by the units that they belong to. */
function grouped(matrix, rowOf, rows, columnOf, columns) {
  const summed = Array.from({ length: rows }, () => new Array(columns).fill(0));
  matrix.forEach((row, at) => row.forEach((value, place) => (summed[rowOf[at]][columnOf[place]] += value)));
  return summed;
}

const unitsOf = (pieces) => pieces.filter(([, place]) => place !== null).map(([text]) => clean(text));

class Writing {
  constructor(view) {
    this.view = view;
    const isLong = unitsOf(view.source.sentences).length > 1;
    this.level = isLong && view.source.sentence_of.length > MANY_WORDS ? "sentences" : "words";
    this.pair = element("div", { className: "pair" });
    this.readout = readout("");
    this.picture = element("div");
    this.node = this.build(isLong);
    this.regroup();
  }

  build(isLong) {
    const { view } = this;
    const levels = choice("By", [["words", "words"], ["sentences", "sentences"]], this.level, (level) => {
      this.level = level;
      this.regroup();
    });
    return element(
      "div",
      { className: "writing" },
      element(
        "div",
        { className: "card text" },
        this.pair,
        element("p", { className: "legend", "aria-hidden": "true" }, "against", element("span", { className: "scale" }), "for"),
        this.readout,
      ),
      card("Who spoke for what", isLong ? element("div", { className: "choosers" }, levels) : [], this.picture),
      card("Word by word", this.shares()),
      about([["method", view.method], ["low source share", `under ${percent(view.low)}`]], view.notes, true),
    );
  }

  /** Takes up the level that is chosen: words, or the sentences that they belong to. */
  regroup() {
    const { view, level } = this;
    const [columns, rows] = [view.source, view.answer].map((text) => unitsOf(text[level]));
    const [columnOf, rowOf] = [view.source, view.answer].map((text) =>
      text.sentence_of.map((sentence, word) => (level === "sentences" ? sentence : word)),
    );
    this.units = { columns, rows };
    this.scores = grouped(view.scores, rowOf, rows.length, columnOf, columns.length);
    this.prefix = grouped(view.prefix, rowOf, rows.length, rowOf, rows.length);
    this.source = words(view.source[level], "The source; arrow keys move", (place) => this.pointSource(place));
    this.answer = words(view.answer[level], "The answer; arrow keys move", (place) => this.pointAnswer(place));
    if (level === "words") this.answer.spans.forEach((span, place) => span.classList.toggle("low", view.share[place] < view.low));
    const side = (title, text) => element("div", {}, element("h4", {}, title), text.node);
    this.pair.replaceChildren(side("Source", this.source), side("Answer", this.answer));
    this.readout.textContent = `Point at a ${level.slice(0, -1)} of the answer or of the source, or move with the arrow keys.`;
    this.draw();
  }

  draw() {
    const { columns, rows } = this.units;
    const aligned = this.level === "words" ? this.view.alignment : [];
    const key = ["a stroke: against", ...(aligned.length ? ["a frame: aligned"] : [])].join(" · ");
    const largest = largestOf([...this.scores, ...this.prefix].flat());
    const maps = [
      this.map("From the source", this.scores, columns, largest, new Set(aligned.map(([from, to]) => `${to},${from}`))),
      this.map("From what was written before", this.prefix, rows, largest, new Set()),
    ];
    const isSmall = Math.max(rows.length, columns.length) <= SIDE_BY_SIDE;
    this.picture.replaceChildren(
      element("div", { className: isSmall ? "maps beside" : "maps" }, maps),
      element("p", { className: "legend" }, key),
    );
  }

  map(title, matrix, across, largest, outlined) {
    const { rows } = this.units;
    const map = heatMap({
      rows,
      columns: across,
      score: (row, column) => matrix[row][column],
      largest,
      label: `${title}: ${this.level} of the answer are rows`,
      outlined,
      onpoint: (row, column) => this.pointCell(row, column, matrix, across),
    });
    const head = [["answer", "word"], ...across.map((name) => [name, "number"])];
    const body = () => matrix.map((row, place) => [rows[place], ...row.map((score) => signed(score))]);
    const asTable = opened("As a table", () => table(`${title}, in logits`, head, body()));
    return element("div", {}, element("h4", {}, title), map, rows.length * across.length <= MANY_CELLS ? asTable : []);
  }

  light(text, scores, largest) {
    text.spans.forEach((span, place) => tint(span, scores?.[place] ?? 0, largest));
    text.select(new Set());
    if (scores && largest > 0) text.reveal(scores.indexOf(scores.reduce((most, score) => Math.max(most, score))));
  }

  /** A unit of the answer: what of the source, and of the answer before it, spoke for it. */
  pointAnswer(place) {
    const { view } = this;
    const [scores, prefix] = place === null ? [] : [this.scores[place], this.prefix[place]];
    const largest = place === null ? 0 : Math.max(largestOf(scores), largestOf(prefix));
    this.light(this.source, scores, largest);
    this.light(this.answer, prefix, place === null ? 0 : largest);
    if (place === null) return;
    this.answer.select(new Set([place]));
    if (this.level === "sentences") {
      this.say(this.units.rows[place], `source ${signed(sum(scores))}, written before ${signed(sum(prefix))}`);
      return;
    }
    const [source, before, bias] = this.parts(place);
    const flag = view.share[place] < view.low ? " · hardly looked at the source" : "";
    this.say(
      this.units.rows[place],
      `${percent(view.probabilities[place])} · source ${signed(source)}, written before ${signed(before)}, bias ${signed(bias)} = ` +
        `logit ${number(view.logits[place])} · source share ${percent(view.share[place])}${flag}`,
    );
  }

  /** A unit of the source: what of the answer it spoke for. */
  pointSource(place) {
    const scores = place === null ? null : this.scores.map((row) => row[place]);
    this.light(this.source, null, 0);
    this.light(this.answer, scores, scores ? largestOf(scores) : 0);
    if (place === null) return;
    this.source.select(new Set([place]));
    const best = scores.indexOf(Math.max(...scores));
    this.say(this.units.columns[place], `speaks most for ${this.units.rows[best]} ${signed(scores[best])}`);
  }

  pointCell(row, column, matrix, across) {
    this.pointAnswer(row);
    if (row !== null) this.say(across[column], `→ ${this.units.rows[row]}: ${signed(matrix[row][column], 3)}`);
  }

  say(name, rest) {
    this.readout.replaceChildren(element("b", { dir: "auto" }, name), ` ${rest}`);
  }

  /** Source, what was written before, bias: they sum to the logit. */
  parts(place) {
    const { view } = this;
    return [sum(view.scores[place]) + view.special[place], sum(view.prefix[place]) + view.start[place], view.bias[place]];
  }

  shares() {
    const { view } = this;
    const [sources, written] = [unitsOf(view.source.words), unitsOf(view.answer.words)];
    const aligned = written.map(() => []);
    for (const [from, to] of view.alignment) aligned[to].push(sources[from]);
    const rows = written.map((word, place) => {
      const scores = view.scores[place];
      const top = scores.map((_, at) => at).sort((one, other) => scores[other] - scores[one]).slice(0, TOP_SOURCES);
      const meter = element("span", { className: "meter", "aria-hidden": "true" }, element("span", { className: "fill" }));
      meter.style.setProperty("--w", view.share[place]);
      const isLow = view.share[place] < view.low;
      return [
        word,
        percent(view.probabilities[place]),
        ...this.parts(place).map((part) => signed(part)),
        number(view.logits[place]),
        element("span", { className: isLow ? "share low" : "share" }, meter, `${percent(view.share[place])}${isLow ? " ⚑ low" : ""}`),
        top.filter((at) => scores[at] > scores[top[0]] / 10).map((at) => `${sources[at]}\u00a0${signed(scores[at])}`).join(" · "),
        ...(view.alignment.length ? [aligned[place].join(" ")] : []),
      ];
    });
    const columns = [
      ["answer", "word"],
      ["probability", "number"],
      ["source", "number"],
      ["written before", "number"],
      ["bias", "number"],
      ["logit", "number"],
      ["source share", "number"],
      ["strongest in the source", "sources"],
      ...(view.alignment.length ? [["aligned with", ""]] : []),
    ];
    return table("Each word of the answer, and what spoke for it", columns, rows);
  }

  largest() {
    return 0;
  }

  update() {}
}
