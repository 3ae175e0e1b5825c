// A heat map on a canvas: rows and columns with names, cells coloured by score, a cell that is pointed at.

const FONT = "13px system-ui, sans-serif";
const LONGEST_NAME = 150;
const MOST_NAMED = 150; // rows or columns that have their names beside them
const [SMALLEST, SEEN, NAMED, LARGEST] = [1, 4, 18, 40]; // widths of a cell in pixels

/**
 * rows and columns are names; score(row, column) is a number; onpoint(row, column) is called with what the mouse or the
 * keys point at, and with nulls once it is nothing. largest is the score of the full colour. outlined is a set of "row,column"; where most scores are 0, isSparse
 * has the others drawn so large that they are seen.
 */
function heatMap({ rows, columns, score, largest, label, onpoint, outlined = new Set(), isSparse = false }) {
  const canvas = element("canvas", { tabIndex: 0, role: "application", "aria-roledescription": "heat map" });
  canvas.setAttribute("aria-label", `${label}; arrow keys move`);
  const frame = element("div", { className: "heat" }, canvas);
  const cells = element("canvas", { width: columns.length, height: rows.length });
  const context = canvas.getContext("2d");
  let [point, size, names, inks, dots] = [null, null, null, null, []];

  /** One pixel a cell: drawn enlarged later. */
  function paint() {
    inks = Object.fromEntries(["for", "against", "ink", "muted", "line"].map((name) => [name, colour(name)]));
    const image = new ImageData(columns.length, rows.length);
    dots = [];
    for (let row = 0, at = 0; row < rows.length; row += 1) {
      for (let column = 0; column < columns.length; column += 1, at += 4) {
        const share = largest > 0 ? score(row, column) / largest : 0;
        if (!share) continue;
        image.data.set(share < 0 ? inks.against : inks.for, at);
        image.data[at + 3] = 255 * Math.abs(share);
        if (isSparse) dots.push([row, column, share]);
      }
    }
    cells.getContext("2d").putImageData(image, 0, 0);
  }

  function measure() {
    context.font = FONT;
    const isNamed = columns.length <= MOST_NAMED && rows.length <= MOST_NAMED;
    names = isNamed ? { rows: rows.map(cut), columns: columns.map(cut) } : { rows: [], columns: [] };
    const beside = (shown) => (isNamed ? 12 + shown.reduce((most, name) => Math.max(most, context.measureText(name).width), 0) : 1);
    size = { left: beside(names.rows), top: beside(names.columns) };
    const wide = (frame.clientWidth - size.left - 4) / columns.length;
    const cell = isNamed ? Math.max(Math.min(wide, LARGEST), NAMED) : Math.max(Math.min(wide, (0.8 * innerHeight) / rows.length), SMALLEST);
    size.cell = cell;
    size.wide = columns.length * cell;
    size.high = rows.length * cell;
  }

  function cut(name) {
    const shown = clean(name).replace(/\s+/g, " ");
    if (context.measureText(shown).width <= LONGEST_NAME) return shown;
    const letters = [...shown].slice(0, 60);
    while (context.measureText(`${letters.join("")}…`).width > LONGEST_NAME) letters.pop();
    return `${letters.join("").trimEnd()}…`;
  }

  function draw() {
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [size.left + size.wide + 2, size.top + size.high + 2];
    [canvas.width, canvas.height] = [Math.ceil(width * ratio), Math.ceil(height * ratio)];
    [canvas.style.width, canvas.style.height] = [`${width}px`, `${height}px`];
    context.scale(ratio, ratio);
    context.imageSmoothingEnabled = false;
    if (isSparse && size.cell < SEEN) drawDots();
    else context.drawImage(cells, size.left, size.top, size.wide, size.high);
    frameOf(size.left, size.top, size.wide, size.high, inks.line, 1);
    drawNames();
    if (names.rows.length) drawStrokes();
    if (!point) return;
    const [row, column] = point;
    frameOf(size.left, size.top + row * size.cell, size.wide, size.cell, inks.ink, 1.5);
    frameOf(size.left + column * size.cell, size.top, size.cell, size.high, inks.ink, 1.5);
  }

  function drawDots() {
    context.fillStyle = `rgb(${inks.for})`;
    for (const [row, column, share] of dots) {
      context.globalAlpha = share;
      context.fillRect(size.left + (column + 0.5) * size.cell - SEEN / 2, size.top + (row + 0.5) * size.cell - SEEN / 2, SEEN, SEEN);
    }
    context.globalAlpha = 1;
  }

  function frameOf(x, y, width, height, ink, thickness) {
    context.strokeStyle = `rgb(${ink})`;
    context.lineWidth = thickness;
    context.strokeRect(x, y, width, height);
  }

  function drawNames() {
    context.font = FONT;
    context.textBaseline = "middle";
    const ink = (isPointed) => `rgb(${isPointed ? inks.ink : inks.muted})`;
    names.rows.forEach((name, row) => {
      context.textAlign = "right";
      context.fillStyle = ink(row === point?.[0]);
      context.fillText(name, size.left - 8, size.top + (row + 0.5) * size.cell);
    });
    names.columns.forEach((name, column) => {
      context.save();
      context.translate(size.left + (column + 0.5) * size.cell, size.top - 8);
      context.rotate(-Math.PI / 2);
      context.textAlign = "left";
      context.fillStyle = ink(column === point?.[1]);
      context.fillText(name, 0, 0);
      context.restore();
    });
  }

  /** What tells without colours: a stroke through cells that speak against, a frame around outlined ones. */
  function drawStrokes() {
    for (let row = 0; row < rows.length; row += 1) {
      for (let column = 0; column < columns.length; column += 1) {
        const [x, y] = [size.left + column * size.cell, size.top + row * size.cell];
        if (outlined.has(`${row},${column}`)) frameOf(x + 2, y + 2, size.cell - 4, size.cell - 4, inks.ink, 1);
        if (score(row, column) >= -largest / 10) continue;
        context.strokeStyle = `rgb(${inks.ink})`;
        context.beginPath();
        context.moveTo(x + 5, y + size.cell - 5);
        context.lineTo(x + size.cell - 5, y + 5);
        context.stroke();
      }
    }
  }

  const drawAnew = () => {
    paint();
    measure();
    draw();
  };
  const at = (row, column) => {
    point = row === null ? null : [row, column];
    draw();
    onpoint(row, column);
  };
  const within = (place, count) => Math.max(0, Math.min(place, count - 1));
  canvas.addEventListener("pointermove", (event) => {
    const [x, y] = [event.offsetX - size.left, event.offsetY - size.top];
    if (x < 0 || y < 0 || x >= size.wide || y >= size.high) return point && at(null, null);
    const [row, column] = [Math.floor(y / size.cell), Math.floor(x / size.cell)];
    return row === point?.[0] && column === point?.[1] ? undefined : at(row, column);
  });
  canvas.addEventListener("pointerleave", () => document.activeElement !== canvas && point && at(null, null));
  canvas.addEventListener("blur", () => point && at(null, null));
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!step) return;
    event.preventDefault();
    const [row, column] = point ?? [-Math.max(step[0], 0), -Math.max(step[1], 0)];
    at(within(row + step[0], rows.length), within(column + step[1], columns.length));
  });
  new ResizeObserver(() => frame.clientWidth && drawAnew()).observe(frame);
  redrawn.add(() => frame.clientWidth && drawAnew());
  return frame;
}
