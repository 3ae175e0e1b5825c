// Puts the views of the data on the page: those of one kind side by side.

const VIEWS = { classification, written: writtenView, attention: attentionView };
const HEADINGS = { classification: "Explanation", written: "Source and answer", attention: "Attention" };

function show(kind, views) {
  const group = { panels: [] };
  group.update = () => {
    const largest = largestOf(group.panels.map((panel) => panel.largest()));
    for (const panel of group.panels) panel.update(largest);
  };
  const panels = views.map((view, place) => {
    const title = view.name || (views.length > 1 ? `${HEADINGS[kind]} ${place + 1}` : HEADINGS[kind]);
    const isAlone = data.length === 1 && !view.name;
    const heading = element("h2", { id: identifier(), dir: "auto", className: isAlone ? "unseen" : "" }, clean(title));
    return element("section", { className: `panel ${kind}`, "aria-labelledby": heading.id }, heading, VIEWS[kind](view, group));
  });
  const row = element("div", { className: "row" }, panels);
  row.classList.toggle("several", views.length > 1 && kind !== "attention"); // heads need the whole width
  document.getElementById("main").append(row);
  group.update();
}

const byKind = new Map();
for (const view of data) byKind.set(view.kind, [...(byKind.get(view.kind) ?? []), view]);
for (const [kind, views] of byKind) show(kind, views);

const dark = matchMedia("(prefers-color-scheme: dark)");
dark.addEventListener("change", redraw);
document.getElementById("theme").addEventListener("click", () => {
  const root = document.documentElement;
  const isDark = root.style.colorScheme ? root.style.colorScheme === "dark" : dark.matches;
  root.style.colorScheme = isDark ? "light" : "dark";
  redraw();
});
