"use strict";

// Charts: Plotly draws what stands in the page, in the page's colours, light, dark or on paper.

const PALETTE = {
  light: ["#1f4e8c", "#b34700", "#1c7a4d", "#7a4a8f", "#5f646d"],
  dark: ["#7fb2f0", "#ff9d5c", "#63cf9d", "#c9a3e6", "#b3b9c4"],
};
const PAPER_WIDTH = 640; // pixels, between the margins of A4 and of US letter
const dark = matchMedia("(prefers-color-scheme: dark)");
const plots = [];

function colours(onPaper) {
  const style = getComputedStyle(document.documentElement);
  const read = (name) => style.getPropertyValue(name).trim();
  if (onPaper) return { palette: PALETTE.light, ink: "#000000", rule: "#bbbbbb", paper: "#ffffff" };
  return {
    palette: dark.matches ? PALETTE.dark : PALETTE.light,
    ink: read("--ink"), rule: read("--rule"), paper: read("--paper"),
  };
}

function pale(colour) {
  return colour + "40";
}

function dressTrace(trace, theme) {
  const { colour, pale: isPale, scale, ink } = trace.meta ?? {};
  const dressed = { ...trace };
  if (ink) dressed.colorscale = [[0, theme.paper], [1, theme.ink]];
  if (scale) dressed.colorscale = [[0, theme.paper], [1, theme.palette[0]]];
  if (colour === undefined) return dressed;
  const own = colour === null ? theme.ink : theme.palette[colour % theme.palette.length];
  dressed.marker = { ...trace.marker, color: own };
  dressed.line = { ...trace.line, color: isPale ? pale(own) : own };
  if (trace.fill) dressed.fillcolor = pale(own);
  if (trace.error_x) dressed.error_x = { ...trace.error_x, color: own };
  return dressed;
}

function dressLayout(layout, theme, width) {
  const dressed = {
    ...layout, width, autosize: width === undefined, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: theme.ink, family: "system-ui, sans-serif", size: 12 }, dragmode: false,
  };
  for (const name of Object.keys(layout).filter((key) => /^[xy]axis/.test(key))) {
    const grid = { gridcolor: theme.rule, zerolinecolor: theme.rule, linecolor: theme.rule };
    dressed[name] = { ...layout[name], ...grid, fixedrange: true };
  }
  const shapes = layout.shapes ?? [];
  dressed.shapes = shapes.map((s) => ({ ...s, line: { ...s.line, color: theme.ink } }));
  return dressed;
}

function draw({ place, spec }, onPaper = false) {
  const theme = colours(onPaper);
  const data = spec.data.map((trace) => dressTrace(trace, theme));
  const width = onPaper ? Math.min(place.clientWidth, PAPER_WIDTH) : undefined;
  const options = { displayModeBar: false, responsive: !onPaper };
  return Plotly.react(place, data, dressLayout(spec.layout, theme, width), options);
}

for (const place of document.querySelectorAll(".plot")) {
  const plot = { place, spec: JSON.parse(place.nextElementSibling.textContent) };
  plots.push(plot);
  draw(plot);
  const numbers = place.parentElement.querySelector(".numbers");
  numbers?.addEventListener("toggle", () => unfold(numbers, plot.spec), { once: true });
}
dark.addEventListener("change", () => plots.forEach((plot) => draw(plot)));
addEventListener("beforeprint", () => plots.forEach((plot) => draw(plot, true)));
addEventListener("afterprint", () => plots.forEach((plot) => draw(plot)));

// The numbers of a chart as a table, for those who want them or do not see the chart.

function unfold(details, spec) {
  const table = document.createElement("table");
  for (const cells of rowsOf(spec)) {
    const row = table.insertRow();
    cells.forEach((text, place) => {
      const cell = document.createElement(table.rows.length === 1 || place === 0 ? "th" : "td");
      cell.textContent = text ?? "–";
      row.append(cell);
    });
  }
  const box = document.createElement("div");
  box.tabIndex = 0;
  box.role = "region";
  box.ariaLabel = "Numbers";
  box.append(table);
  details.append(box);
}

function rowsOf({ data, layout }) {
  if (data[0].type === "heatmap") {
    const { x, y, z, colorbar } = data[0];
    const what = `${layout.yaxis.title.text} → ${layout.xaxis.title.text}, ${colorbar.title.text}`;
    return [[what, ...x], ...z.map((row, place) => [y[place], ...row])];
  }
  const traces = data.filter((trace) => trace.hoverinfo !== "skip");
  const byRow = traces.some((trace) => typeof trace.y[0] === "string"); // else by epoch
  const where = (trace) => (byRow ? trace.y : trace.x ?? trace.y.map((_, place) => trace.x0 + place));
  const what = (trace, place) => {
    if (!byRow) return trace.y[place] ?? "–";
    const { array, arrayminus } = trace.error_x ?? {};
    const center = trace.x[place];
    if (!array?.[place]) return center;
    return `${center} [${(center - arrayminus[place]).toFixed(2)}, ${(center + array[place]).toFixed(2)}]`;
  };
  const several = traces.some((trace) => (trace.xaxis ?? "x") !== "x");
  const name = (trace) => {
    const axis = layout[(trace.xaxis ?? "x").replace("x", "xaxis")];
    return several ? `${axis.title.text}: ${trace.name}` : trace.name;
  };
  const rows = new Map();
  traces.forEach((trace, column) => where(trace).forEach((key, place) => {
    if (!rows.has(key)) rows.set(key, traces.map(() => []));
    rows.get(key)[column].push(what(trace, place));
  }));
  const lines = [...rows].map(([key, cells]) => [key, ...cells.map((c) => c.join(", ") || "–")]);
  return [[byRow ? "row" : "epoch", ...traces.map(name)], ...lines];
}

// Tables: a click or a key on a column's name sorts each part of a table, rows without value last.

function valueOf(row, column) {
  const cell = row.cells[column];
  const text = cell.dataset.value ?? cell.textContent.trim();
  if (text === "–" || text === "") return null;
  const [, first] = /^([-+]?[\d.]+) \[/.exec(text.replaceAll("−", "-")) ?? []; // with its interval
  const number = Number(first ?? text.replaceAll(",", "").replace("−", "-"));
  return Number.isNaN(number) ? text : number;
}

function compare(a, b) {
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a).localeCompare(String(b), "en", { numeric: true });
}

function sort(table, column, descending) {
  for (const body of table.tBodies) {
    if (body.classList.contains("title")) continue;
    const rows = [...body.rows].map((row) => [valueOf(row, column), row]);
    rows.sort(([a], [b]) => {
      if (a === null || b === null) return (a === null) - (b === null);
      return descending ? compare(b, a) : compare(a, b);
    });
    body.append(...rows.map(([, row]) => row));
  }
}

for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const descending = head.ariaSort === "ascending";
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", descending ? "descending" : "ascending");
      sort(table, column, descending);
    });
  });
}

const filter = document.getElementById("filter");
filter?.addEventListener("input", () => {
  const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  const rows = [...document.querySelectorAll("table.sortable tbody tr")];
  for (const row of rows) {
    const text = row.textContent.toLowerCase();
    row.hidden = !words.every((word) => text.includes(word));
  }
  const left = rows.filter((row) => !row.hidden).length;
  document.getElementById("shown").textContent = words.length ? `${left} of ${rows.length} runs` : "";
});
