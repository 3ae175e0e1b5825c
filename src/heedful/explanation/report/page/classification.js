// Why a label: its words by what they speak for, the sum, and what happens without them.

const STRONGEST = 8;
const ALONE = "";

/** group is shared by the panels that stand side by side: one scale of colours for all of them. */
function classification(view, group) {
  const panel = new Claim(view, group);
  group.panels.push(panel);
  return panel.node;
}

class Claim {
  constructor(view, group) {
    this.view = view;
    this.group = group;
    this.labels = new Map(view.labels.map((scores) => [scores.label, scores]));
    this.label = view.label;
    this.against = view.against ?? ALONE;
    this.choose();
    this.text = words(view.pieces, "The text; arrow keys move from word to word", (place) => this.point(place));
    this.readout = readout("Point at a word, or move with the arrow keys.");
    this.verdict = element("div", { className: "verdict" });
    this.legend = element("p", { className: "legend", "aria-hidden": "true" });
    this.sum = element("div");
    this.strongest = element("div");
    this.node = this.build();
  }

  /** The scores of what is chosen: those of one label, or the difference between two. */
  choose() {
    const { view, label, against } = this;
    if (label === view.label && against === (view.against ?? ALONE)) {
      this.scores = view.own;
      return;
    }
    const [one, other] = [this.labels.get(label), this.labels.get(against)];
    const less = (name) => one[name] - (other?.[name] ?? 0);
    this.scores = {
      logit: less("logit"),
      bias: less("bias"),
      special: less("special"),
      words: one.words.map((score, place) => score - (other?.words[place] ?? 0)),
    };
  }

  build() {
    const { view } = this;
    const facts = [["method", view.method], ...Object.entries(view.faithfulness).map(([name, value]) => [name, number(value, 3)])];
    const parts = [
      element("header", {}, this.verdict, this.choosers()),
      element("div", { className: "card text" }, this.text.node, this.legend, this.readout),
      card("The sum", this.sum),
      card("Strongest words", this.strongest, opened("All words as a table", () => this.allWords())),
    ];
    if (view.verify.length) parts.push(removals(view));
    parts.push(about(facts, view.notes, Object.keys(view.faithfulness).length > 0));
    return element("div", { className: "claim" }, parts);
  }

  choosers() {
    const { labels, view } = this;
    if (labels.size < 2 || !labels.has(view.label) || (view.against && !labels.has(view.against))) return [];
    const names = [...labels.keys()];
    const menu = (options, chosen, onchange) => {
      const select = element("select", { onchange: (event) => onchange(event.target.value) });
      select.append(...options.map(([value, title]) => new Option(title, value, false, value === chosen)));
      return select;
    };
    const change = (name) => (value) => {
      this[name] = value;
      if (this.label === this.against) this.against = rivals.value = ALONE;
      this.choose();
      this.group.update();
    };
    const chosen = menu(names.map((name) => [name, clean(name)]), this.label, change("label"));
    const rivals = menu([[ALONE, "nothing else"], ...names.map((name) => [name, clean(name)])], this.against, change("against"));
    return element(
      "div",
      { className: "choosers" },
      element("label", {}, element("span", {}, "Why"), chosen),
      element("label", {}, element("span", {}, "rather than"), rivals),
    );
  }

  largest() {
    return largestOf(this.scores.words);
  }

  update(largest) {
    this.text.spans.forEach((span, place) => {
      tint(span, this.scores.words[place], largest);
      span.setAttribute("aria-label", `${span.textContent}, ${signed(this.scores.words[place])}`);
    });
    this.verdict.replaceChildren(...this.headline());
    this.legend.replaceChildren(`against ${signed(-largest)}`, element("span", { className: "scale" }), `${signed(largest)} for`);
    this.sum.replaceChildren(...this.addition());
    const places = this.ranked().slice(0, STRONGEST);
    this.strongest.replaceChildren(wordTable("Strongest words", places, this.text.spans, this.scores.words));
    const full = this.node?.querySelector("details .scroll");
    full?.replaceWith(this.allWords());
  }

  ranked() {
    const { words: scores } = this.scores;
    return scores.map((_, place) => place).sort((one, other) => Math.abs(scores[other]) - Math.abs(scores[one]));
  }

  headline() {
    const { view, label, against } = this;
    const probability = label === view.label ? view.probability : this.labels.get(label).probability;
    const meter = element("span", { className: "meter", "aria-hidden": "true" }, element("span", { className: "fill" }));
    meter.style.setProperty("--w", probability);
    const parts = [element("p", { className: "label", dir: "auto" }, clean(label)), element("p", { className: "figure" }, percent(probability)), meter];
    const asides = against ? [`rather than ${clean(against)}`] : [];
    if (view.runner_up && label === view.label) asides.push(`runner-up: ${clean(view.runner_up[0])}, ${percent(view.runner_up[1])}`);
    return asides.length ? [...parts, element("p", { className: "aside", dir: "auto" }, asides.join(" · "))] : parts;
  }

  /** The sum, drawn and written out. */
  addition() {
    const { words: scores, special, bias, logit } = this.scores;
    const total = sum(scores) + special;
    if (bias === null) return [element("p", { className: "sum" }, `logit ${number(logit, 3)}`)];
    const gap = logit - total - bias;
    const mark = Math.abs(gap) <= 1e-4 * Math.max(1, Math.abs(logit)) ? "✓" : `(off by ${gap.toExponential(1)})`;
    const parts = [
      ["words for", sum(scores.filter((score) => score > 0))],
      ["words against", sum(scores.filter((score) => score < 0))],
      ["special tokens", special],
      ["bias", bias],
      ["logit", logit],
    ];
    const largest = largestOf(parts.map(([, score]) => score));
    const rows = parts.map(([name, score]) => [name, bar(score, largest), signed(score)]);
    const made = table("What the logit is made of", [["part", ""], ["", "wide"], ["logits", "number"]], rows);
    made.classList.add("total");
    return [
      made,
      element("p", { className: "sum" }, `tokens ${signed(total)}, bias ${signed(bias)} = logit ${number(logit, 3)} ${mark}`),
    ];
  }

  allWords() {
    return wordTable("All words, in the order of the text", this.scores.words.map((_, place) => place), this.text.spans, this.scores.words);
  }

  point(place) {
    this.text.select(new Set(place === null ? [] : [place]));
    if (place === null) return;
    const { words: scores } = this.scores;
    const stronger = scores.filter((score) => Math.abs(score) > Math.abs(scores[place])).length;
    const rank = `number ${stronger + 1} of ${scores.length} by strength`;
    this.readout.replaceChildren(element("b", { dir: "auto" }, this.text.spans[place].textContent), ` ${signed(scores[place], 3)} · ${rank}`);
  }
}

function wordTable(caption, places, spans, scores) {
  const largest = largestOf(scores);
  const rows = places.map((place) => [spans[place].textContent, bar(scores[place], largest), signed(scores[place])]);
  return table(caption, [["word", "word"], ["", "wide"], ["logits", "number"]], rows);
}

/** What becomes of the probability when words go, drawn and as a table. */
function removals(view) {
  const steps = [[0, [], view.probability, view.probability], ...view.verify];
  const [width, height, left, bottom] = [400, 190, 48, 28];
  const last = steps[steps.length - 1][0];
  const x = (k) => left + (k / last) * (width - left - 12);
  const y = (probability) => 10 + (1 - probability) * (height - bottom - 10);
  const points = (column) => steps.map((step) => `${x(step[0])},${y(step[column])}`);
  const text = (words, at, anchor) => drawn("text", { ...at, "text-anchor": anchor }, words);
  const picture = drawn("svg", { viewBox: `0 0 ${width} ${height}`, class: "chart", role: "img", "aria-label": "the table below, drawn" });
  for (const share of [0, 0.5, 1]) {
    picture.append(drawn("line", { x1: left, x2: width - 12, y1: y(share), y2: y(share), class: "grid" }));
    picture.append(text(`${100 * share}%`, { x: left - 8, y: y(share) + 4 }, "end"));
  }
  for (const [k] of steps) picture.append(text(k, { x: x(k), y: height - 6 }, "middle"));
  for (const [column, kind] of [[3, "random"], [2, "strongest"]]) {
    picture.append(drawn("polyline", { points: points(column).join(" "), class: kind }));
    for (const [k, , ...ys] of steps) picture.append(drawn("circle", { cx: x(k), cy: y(ys[column - 2]), r: 4, class: kind }));
  }
  const key = element("p", { className: "key" }, element("span", { className: "strongest" }, "strongest words hidden"), element("span", { className: "random" }, "random words hidden"));
  const rows = steps.map(([k, gone, strongest, random]) => [`${k}`, percent(strongest), percent(random), gone.map(clean).join(", ")]);
  const columns = [["hidden", ""], ["strongest", "number"], ["random", "number"], ["words", "word"]];
  const hint = element("p", { className: "hint", dir: "auto" }, `Probability of ${clean(view.label)} when words are hidden`);
  return card("Without these words", hint, picture, key, opened("As a table", () => table(`Probability of ${clean(view.label)}`, columns, rows)));
}

/** How the explanation was made, and how far it can be trusted. */
function about(facts, notes, isMeasured) {
  const list = element("dl", {}, facts.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]));
  const remarks = [...notes, ...(isMeasured ? [] : ["How faithful explanations of this model are was not measured."])];
  const items = remarks.map((note) => element("li", {}, clean(note)));
  return card("About this explanation", list, items.length ? element("ul", { className: "notes" }, items) : []);
}
