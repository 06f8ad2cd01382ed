"use strict";
// Draws the report from the JSON in #data. Text from the data reaches the page as text nodes only, never as HTML.
const D = JSON.parse(document.getElementById("data").textContent);
const state = { run: 0, head: D.evaluated };
const N = D.clips.ids.length;

// Elements: h("td", {class: "number", onclick: f}, "text", child, ...); null children are left out.
function h(tag, props, ...children) {
  const node = tag === "svg" || svgTags.has(tag)
    ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [key, value] of Object.entries(props || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key === "style") for (const [name, of] of Object.entries(value)) node.style.setProperty(name, of);
    else node.setAttribute(key, value);
  }
  for (const child of children.flat(Infinity)) if (child !== null && child !== undefined) node.append(child);
  return node;
}
const svgTags = new Set(["g", "path", "line", "circle", "text"]);
const percent = (value) => (100 * value).toFixed(1) + " %";
const plusMinus = (figure) => figure.standard_error === null ? "" : ` ± ${(100 * figure.standard_error).toFixed(1)}`;
const color = (run) => `var(--c${run % 6})`;
const clips = (count) => `${count} clip${count === 1 ? "" : "s"}`;
const head = () => D.heads[state.head];
const own = (run = state.run) => D.runs[run].heads[state.head];
const name = (c) => head().classes[c];
const predicted = (clip, run = state.run) => own(run).top[clip][0];
const correct = (clip, run = state.run) => own(run).rank[clip] === 1;
const several = D.runs.length > 1;

// One part of the page: drawn again when the run or the head is changed.
const sections = [];
function section(id, title, draw) { sections.push({ id, title, draw }); }
function notes(...keys) {
  return keys.flatMap((key) => D.notes[key] || []).map((line) => h("p", { class: "note small" }, line));
}

// ---- accuracies

section("accuracies", "Accuracies", () => {
  const keys = Object.keys(own(0).figures).filter((key) => key !== "area");
  const titles = { mean_class: "mean over classes" };
  return [
    tiles(({ top1 }) => top1, ({ top1 }) => `top-1: ${top1.correct} of ${clips(top1.count)}`),
    figureTable([
      ...keys.map((key) => figureLine(titles[key] || key.replace("top", "top-"), (figures) => figures[key])),
      ...Object.keys(own(0).figures.area).map((area) => figureLine(area, (figures) => figures.area[area]))]),
    h("p", { class: "soft small" }, "± is one standard error of the sample of clips."),
  ];
});

function tiles(headline, text) {  // for each run, one of its figures, and what else there is to say of them
  return h("div", { class: "tiles" }, D.runs.map((run, r) => {
    const figures = own(r).figures, figure = headline(figures), facts = run.facts;
    const what = [facts.network, facts.stream, facts.step !== undefined ? `step ${facts.step}` : null];
    return h("div", { class: "tile", style: { "--color": color(r) } },
      h("span", { class: "soft" }, run.name),
      h("strong", {}, percent(figure.value), h("small", {}, plusMinus(figure))),
      h("div", { class: "soft small" }, text(figures)),
      h("div", { class: "soft small" }, facts.fusion ? `fused from ${facts.fusion}` : what.filter(Boolean).join(", ")));
  }));
}
function figureTable(lines) {
  return h("div", { class: "scroll" }, h("table", { id: "accuracy" },
    several ? h("thead", {}, h("tr", {}, h("th", {}), D.runs.map((run, r) => [
      h("th", { class: "number", style: { color: color(r) } }, run.name), h("th", { class: "hide-narrow" })]))) : null,
    h("tbody", {}, lines)));
}
function figureLine(title, of) {
  return h("tr", {}, h("th", {}, title), D.runs.flatMap((_, r) => {
    const figure = of(own(r).figures), error = figure.standard_error || 0;
    const low = 100 * Math.max(0, figure.value - error), high = 100 * Math.min(1, figure.value + error);
    return [h("td", { class: "number" }, h("span", {}, percent(figure.value), h("span", { class: "soft" }, plusMinus(figure))),
      h("span", { class: "counts soft" }, counted(figure))),
      h("td", { class: "hide-narrow wide" }, h("span", { class: "range", style: { "--color": color(r) } },
        h("i", { style: { width: 100 * figure.value + "%" } }),
        h("b", { style: { left: low + "%", width: high - low + "%" } })))];
  }));
}
function counted(figure) {  // as metrics.counted
  if ("correct" in figure) return `${figure.correct}/${figure.count}`;
  if ("threshold" in figure) return `${clips(figure.count)}, score above ${figure.threshold}`;
  return `${figure.classes} classes` + (figure.left_out ? `, ${figure.left_out} without clips left out` : "");
}

// ---- training curves

section("curves", "Training", () => {
  const panels = [
    { title: "Loss", ends: ["loss"] },
    { title: "Accuracy", ends: ["/accuracy", "_top1", "_mean_iou", "_mean_average_precision"], top: 1 },
  ];
  const drawn = panels.map((panel) => {
    const lines = D.runs.flatMap((run, r) => Object.keys(run.curves)
      .filter((tag) => /^(train|validation)\//.test(tag) && panel.ends.some((end) => tag.endsWith(end)))
      .sort().map((tag) => ({ tag, run: r, points: run.curves[tag], thin: tag.startsWith("train/") })));
    return lines.length ? chart(panel, lines) : null;
  }).filter(Boolean);
  if (!drawn.length && !(D.notes.curves || []).length) return null;
  return [h("div", { class: "charts" }, drawn), ...notes("curves")];
});

function ticks(low, high, count) {
  const raw = (high - low || 1) / count, unit = 10 ** Math.floor(Math.log10(raw));
  const step = unit * ([1, 2, 5, 10].find((factor) => factor * unit >= raw) || 10), found = [];
  for (let at = Math.ceil(low / step) * step; at <= high + step * 1e-6; at += step) found.push(+at.toPrecision(6));
  return found;
}

function curveName(tag) {  // "validation/atomic_top1" is "validation"; the head is named where there are several
  const [split, what] = tag.split("/"), of = what.replace(/_?(loss|accuracy|top1|mean_iou|mean_average_precision)$/, "");
  const mean = what.match(/mean_.*$/), name = split === "train" ? "training" : split;
  return name + (of && Object.keys(D.heads).length > 1 ? `, ${of}` : "") + (mean ? `, ${mean[0].replaceAll("_", " ")}` : "");
}

function chart(panel, lines) {
  const W = innerWidth < 760 ? 360 : 560, H = 270, left = 44, right = 12, top = 10, bottom = 34;
  const all = lines.flatMap((line) => line.points);
  const x1 = Math.max(...all.map((point) => point[0]), 1);
  const y1 = panel.top || Math.max(...all.map((point) => point[1])) * 1.03 || 1;
  const x = (step) => left + (W - left - right) * step / x1, y = (value) => H - bottom - (H - top - bottom) * value / y1;
  const dash = (tag) => /composite/.test(tag) && lines.some((line) => /atomic/.test(line.tag)) ? "6 4" : null;
  const svg = h("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": panel.title },
    ticks(0, y1, 5).map((at) => [h("line", { class: "grid", x1: left, x2: W - right, y1: y(at), y2: y(at) }),
      h("text", { x: left - 6, y: y(at) + 4, "text-anchor": "end" }, panel.top ? Math.round(100 * at) + " %" : String(at))]).flat(),
    ticks(0, x1, 6).map((at) => h("text", { x: x(at), y: H - bottom + 18, "text-anchor": "middle" }, at.toLocaleString("en"))),
    h("text", { x: W - right, y: H - 3, "text-anchor": "end" }, "step"));
  for (const line of lines) {
    const path = line.points.map(([step, value], i) => `${i ? "L" : "M"}${x(step).toFixed(1)} ${y(Math.min(value, y1)).toFixed(1)}`);
    const style = { fill: "none", stroke: color(line.run) };
    svg.append(h("path", { d: path.join(""), "stroke-width": line.thin ? 1 : 2.2, "stroke-opacity": line.thin ? .6 : 1,
      "stroke-dasharray": dash(line.tag), style }));
    if (!line.thin && line.points.length <= 60) for (const [step, value] of line.points) {
      svg.append(h("circle", { cx: x(step), cy: y(value), r: 4, style: { fill: color(line.run) } },
        h("title", {}, `${line.tag}, step ${step}: ${value.toPrecision(4)}`)));
    }
  }
  return h("figure", { style: { margin: "0" } }, h("h3", {}, panel.title), svg, h("div", { class: "legend" }, lines.map((line) =>
    h("span", {}, h("i", { class: line.thin ? "thin" : dash(line.tag) ? "dashed" : null, style: { "--color": color(line.run) } }),
      (several ? D.runs[line.run].name + ": " : "") + curveName(line.tag)))));
}

// ---- changes between runs

section("changes", "What changed", () => {
  if (!several) return null;
  return D.changes[state.head].map((change, i) => {
    const r = i + 1, [a, b] = [D.runs[0].name, D.runs[r].name];
    const p = change.p < 1e-4 ? change.p.toExponential(1) : change.p.toFixed(4);
    const list = (title, kind) => h("details", { open: change[kind].length > 0 && change[kind].length <= 12 && kind !== "moved" ? "" : null },
      h("summary", {}, `${title}: ${clips(change[kind].length)}`), clipList(change[kind].slice(0, 60), (clip) => [
        h("div", {}, name(head().labels[clip])),
        h("div", { class: correct(clip, 0) ? "good" : "bad" }, `${a}: ${name(predicted(clip, 0))}`),
        h("div", { class: correct(clip, r) ? "good" : "bad" }, `${b}: ${name(predicted(clip, r))}`)]),
      change[kind].length > 60 ? h("p", { class: "soft small" }, `and ${change[kind].length - 60} more in the tables`) : null);
    return h("div", { class: "change" },
      h("h3", {}, `${a} → ${b}`),
      h("div", { class: "scroll" }, h("table", { class: "four" },
        h("tr", {}, h("th", {}), h("th", {}, `${b} right`), h("th", {}, `${b} wrong`)),
        h("tr", {}, h("th", {}, `${a} right`), h("td", {}, change.both), h("td", { class: "bad" }, change.lost.length)),
        h("tr", {}, h("th", {}, `${a} wrong`), h("td", { class: "good" }, change.gained.length), h("td", {}, change.neither)))),
      h("p", {}, `McNemar's exact test: p = ${p}. `, h("span", { class: "soft" },
        change.lost.length + change.gained.length === 0 ? "Both runs are right on the same clips."
          : "If both runs were equally good, a split at least as uneven would have this probability.")),
      list("Right → wrong", "lost"), list("Wrong → right", "gained"), list("Wrong in both, but differently", "moved"));
  });
});

// ---- classes

section("classes", "Classes", () => {
  const composites = head().composites.length > 0, areas = head().areas.length > 1;
  const of = (c, r) => own(r).classes[c];
  const rate = (c, r) => of(c, r).clips ? of(c, r).correct / of(c, r).clips : -1;
  const columns = [
    { title: "Class", value: name, cell: (c) => h("button", { class: "plain" }, breakable(name(c))) },
    areas && { title: "Area", value: (c) => head().areas[head().area[c]], narrow: true },
    composites && { title: "Composite", value: (c) => head().composites[head().composite[c]], narrow: true },
    ...D.runs.map((run, r) => ({
      title: several ? run.name : "Correct", number: true, value: (c) => rate(c, r),
      cell: (c) => [`${of(c, r).correct}/${of(c, r).clips}`, h("span", { class: "meter", style: { "--color": color(r) } },
        h("i", { style: { width: 100 * Math.max(0, rate(c, r)) + "%" } }))],
    })),
    D.runs.length === 2 && { title: "Change", number: true, value: (c) => of(c, 1).correct - of(c, 0).correct,
      cell: (c) => signed(of(c, 1).correct - of(c, 0).correct) },
    { title: "Mostly mistaken for", value: (c) => of(c).mistaken,
      cell: (c) => of(c).mistaken_for === null ? "" : [breakable(name(of(c).mistaken_for)), ` (${of(c).mistaken})`] },
    { title: "Predicted", number: true, narrow: true, value: (c) => of(c).predicted },
    { title: "F1", number: true, narrow: true, value: (c) => of(c).f1 === null ? -1 : of(c).f1,
      cell: (c) => of(c).f1 === null ? "" : of(c).f1.toFixed(2) },
  ].filter(Boolean);
  const search = h("input", { type: "search", id: "class-filter", placeholder: "Filter by class, composite or mistake", "aria-label": "Filter classes by text", oninput: () => fill() });
  const area = h("select", { id: "class-area", "aria-label": "Filter classes by area", onchange: () => fill() },
    h("option", { value: "" }, "all areas"), head().areas.map((each) => h("option", { value: each }, each)));
  const shown = h("span", { class: "soft small", id: "class-count" });
  const text = (c) => [name(c), head().composites[head().composite[c]] || "", of(c).mistaken_for === null ? "" : name(of(c).mistaken_for)].join(" ");
  const { table, fill } = classTable(columns, columns.findIndex((column) => column.number), openClass,
    (c) => (!area.value || head().areas[head().area[c]] === area.value) && text(c).toLowerCase().includes(search.value.trim().toLowerCase()),
    (rows) => {
      const k = rows.reduce((sum, c) => sum + of(c).correct, 0), n = rows.reduce((sum, c) => sum + of(c).clips, 0);
      shown.textContent = `${rows.length} of ${head().classes.length} classes, ${k}/${n} clips correct` + (several ? ` (${D.runs[state.run].name})` : "");
    });
  return [
    h("p", { class: "soft" }, "A click on a row shows the clips of the class. “Predicted” counts the clips that are predicted as this class, rightly or not."
      + (several ? ` The last columns are of ${D.runs[state.run].name}.` : "")),
    ...notes("composites"),
    h("div", { class: "row" }, search, areas ? area : null, shown),
    table,
  ];
});

// A table of the classes that `wanted` says, sorted by the column with number `first` until another is chosen.
// Columns: title, value(c) to sort by, cell(c) (default: the value), number, narrow (hidden where there is no room).
function classTable(columns, first, open, wanted, filled = () => {}) {
  const sort = { column: first, up: true }, body = h("tbody", {});
  const kind = (column) => (column.number ? "number" : "") + (column.narrow ? " hide-narrow" : "");
  const header = h("tr", {}, columns.map((column, i) => h("th", { class: kind(column) },
    h("button", { onclick: () => { sort.up = sort.column === i ? !sort.up : !column.number; sort.column = i; fill(); } }, column.title))));
  function fill() {
    const rows = head().classes.map((_, c) => c).filter(wanted);
    const value = columns[sort.column].value, sign = sort.up ? 1 : -1;
    rows.sort((a, b) => { const [x, y] = [value(a), value(b)]; return (x < y ? -sign : x > y ? sign : 0) || a - b; });
    header.childNodes.forEach((cell, i) => i === sort.column ? cell.setAttribute("aria-sort", sort.up ? "ascending" : "descending") : cell.removeAttribute("aria-sort"));
    body.replaceChildren(...rows.map((c) => h("tr", { class: "link", onclick: () => open(c) }, columns.map((column) =>
      h("td", { class: kind(column) }, column.cell ? column.cell(c) : breakable(String(column.value(c))))))));
    filled(rows);
  }
  fill();
  return { table: h("div", { class: "tall" }, h("table", { id: "class-table" }, h("thead", {}, header), body)), fill };
}
function breakable(text) {  // a long name may be broken after each underscore
  return text.split(/(?<=_)/).flatMap((part, i) => i ? [h("wbr"), part] : [part]);
}
function signed(value) {
  return h("span", { class: value > 0 ? "good" : value < 0 ? "bad" : "soft" }, value > 0 ? `+${value}` : value < 0 ? `−${-value}` : "0");
}

// ---- confused pairs

section("pairs", "Most confused pairs", () => {
  const found = own().pairs, box = h("div", { id: "pair-list" }), first = 10;
  if (!found.length) return h("p", {}, "No clip is predicted wrongly.");
  const more = h("button", { onclick: () => show(found.length) });
  function show(count) {
    for (const pair of found.slice(box.children.length, count)) box.append(pairEntry(pair));
    more.hidden = box.children.length >= found.length;
    more.textContent = `Show all ${found.length}`;
  }
  show(first);
  const rest = own().pair_count - found.length;
  return [h("p", { class: "soft" }, `Classes that are mistaken for each other: ${own().pair_count} pair${own().pair_count === 1 ? "" : "s"}, the most confused first. Each is shown with its wrong clips and, to compare, the surest correct clip of each class.`),
    ...notes("thumbnails"), box, h("div", { class: "row" }, more, rest ? h("span", { class: "soft small" }, `${rest} more are in the tables`) : null)];
});
function pairEntry(pair) {
  const [a, b] = [name(pair.first), name(pair.second)];
  const wrong = pair.clips.slice(0, 12), examples = pair.examples.filter((clip) => correct(clip));
  return h("div", { class: "pair" },
    h("h3", {}, h("span", { class: "count" }, pair.clips.length), `${a} ↔ ${b}`),
    h("div", { class: "soft small", style: { "margin-bottom": ".4rem" } }, [[a, b, pair.first_as_second], [b, a, pair.second_as_first]].filter((of) => of[2])
      .map(([label, as, count]) => `${clips(count)} of ${label} predicted as ${as}`).join(" · ")),
    clipList([...wrong, ...examples], answered));
}
function answered(clip) {
  const as = predicted(clip), score = (own().scores[clip][0] / 1000).toFixed(2);
  return correct(clip) ? [h("div", { class: "good" }, `✓ ${name(as)} ${score}`)]
    : [h("div", {}, name(head().labels[clip])), h("div", { class: "bad" }, `✗ ${name(as)} ${score}`)];
}

// ---- confusion matrices

section("matrix", "Confusion matrix", () => {
  const kinds = { class: head().classes.map((_, c) => c) };
  if (head().composites.length) kinds.composite = head().composite;
  if (head().areas.length > 1) kinds.area = head().area;
  const start = head().classes.length <= 30 ? "class" : Object.keys(kinds).at(-1), box = h("div", {});
  const titles = { class: `${head().classes.length} classes`, composite: `${head().composites.length} composites`, area: `${head().areas.length} areas` };
  const buttons = Object.keys(kinds).reverse().map((kind) => h("button", { "data-kind": kind, onclick: () => choose(kind) }, titles[kind]));
  function choose(kind) {
    buttons.forEach((button) => button.setAttribute("aria-pressed", button.dataset.kind === kind));
    box.replaceChildren(matrix(kind, kinds[kind]));
    box.firstChild.draw();
  }
  queueMicrotask(() => choose(start));
  return [h("p", { class: "soft" }, "Rows are labels, columns are predictions; blue is right, orange is wrong, and stronger colors are larger shares of a row. "
    + "A click on a cell shows its clips, or zooms in where cells are too small to hit."), ...(kinds.composite ? [] : notes("composites")), h("div", { class: "row" }, buttons), box];
});

function matrix(kind, groupOf) {
  // Groups in the order of the classes: by area, then composite, then name.
  const order = [...new Set(head().order.map((c) => groupOf[c]))], place = new Map(order.map((group, i) => [group, i]));
  const names = { class: head().classes, composite: head().composites, area: head().areas }[kind];
  const areaOf = order.map((group) => head().area[head().order.find((c) => groupOf[c] === group)]);
  const cells = new Map(), total = new Array(order.length).fill(0);
  for (let clip = 0; clip < N; clip++) {
    const row = place.get(groupOf[head().labels[clip]]), column = place.get(groupOf[predicted(clip)]);
    const key = row * order.length + column;
    total[row]++;
    if (!cells.has(key)) cells.set(key, { row, column, clips: [] });
    cells.get(key).clips.push(clip);
  }
  const all = [...cells.values()], n = order.length, blocks = [];
  areaOf.forEach((area, i) => { if (!i || area !== areaOf[i - 1]) blocks.push({ area, start: i, end: i + 1 }); else blocks.at(-1).end = i + 1; });
  const label = (i) => names[order[i]];
  const view = { top: 0, left: 0, rows: n, columns: n };
  const canvas = h("canvas", { tabindex: 0, "aria-label": `Confusion matrix of ${n} groups` });
  const hint = h("p", { class: "hint small" }), list = h("ul", { class: "cells" }), chosen = h("div", { id: "cell-clips" });
  let layout = null;

  function zoom(factor, row = view.top + view.rows / 2, column = view.left + view.columns / 2) {
    const rows = Math.max(4, Math.min(n, Math.round(view.rows * factor))), columns = Math.max(4, Math.min(n, Math.round(view.columns * factor)));
    look(Math.round(row - rows / 2), Math.round(column - columns / 2), Math.min(rows, n), Math.min(columns, n));
  }
  function look(top, left, rows, columns) {
    Object.assign(view, { rows, columns, top: Math.max(0, Math.min(n - rows, top)), left: Math.max(0, Math.min(n - columns, left)) });
    draw();
  }
  const selects = ["rows", "columns"].map((axis) => h("select", { "aria-label": `${axis} to show`, "data-axis": axis, onchange: () => {
    const [a, b] = selects.map((select) => select.value === "" ? { start: 0, end: n } : blocks[+select.value]);
    look(a.start, b.start, a.end - a.start, b.end - b.start);
  } }, h("option", { value: "" }, `${axis}: all`), blocks.map((block, i) => h("option", { value: i }, `${axis}: ${head().areas[block.area]}`))));
  const tools = n > 12 ? h("div", { class: "row" }, blocks.length > 1 ? selects : null,
    h("button", { onclick: () => zoom(.5), "aria-label": "Zoom in" }, "+"), h("button", { onclick: () => zoom(2), "aria-label": "Zoom out" }, "−"),
    h("button", { onclick: () => { selects.forEach((select) => { select.value = ""; }); look(0, 0, n, n); } }, "Whole matrix")) : null;

  function draw() {
    const width = canvas.clientWidth || 600, context = canvas.getContext("2d"), ratio = devicePixelRatio || 1;
    const style = getComputedStyle(document.documentElement), tone = (variable) => style.getPropertyValue(variable).trim();
    const font = (size) => `${size}px system-ui, sans-serif`;
    context.font = font(11);
    const roomy = Math.min(170, width * .28), named = (width - roomy) / Math.max(view.rows, view.columns) >= 9;
    const longest = (from, count) => Math.max(...Array.from({ length: count }, (_, i) => context.measureText(label(from + i)).width));
    const left = named ? Math.min(roomy, longest(view.top, view.rows) + 14) : 24, top = named ? Math.min(roomy, longest(view.left, view.columns) + 14) : 24;
    const side = Math.min((width - left - 2) / view.columns, Math.max(4, (width - top) / view.rows), 64);
    const cw = side, ch = side, height = Math.ceil(top + ch * view.rows + 4);
    canvas.width = width * ratio; canvas.height = height * ratio; canvas.style.height = height + "px";
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    layout = { left, top, cw, ch };
    const X = (column) => left + (column - view.left) * cw, Y = (row) => top + (row - view.top) * ch;
    context.fillStyle = tone("--page");
    context.fillRect(left, top, cw * view.columns, ch * view.rows);
    context.save();
    context.beginPath(); context.rect(left, top, cw * view.columns, ch * view.rows); context.clip();
    context.strokeStyle = tone("--line"); context.lineWidth = 1;
    if (cw >= 9) for (let i = 0; i <= n; i++) { line(context, X(i), Y(0), X(i), Y(n)); line(context, X(0), Y(i), X(n), Y(i)); }
    const least = Math.max(0, 3 - cw) / 2;
    for (const cell of all) {
      const share = cell.clips.length / total[cell.row], right = cell.row === cell.column;
      context.globalAlpha = .2 + .8 * share;
      context.fillStyle = right ? tone("--accent") : tone("--bad");
      context.fillRect(X(cell.column) - least, Y(cell.row) - least, cw + 2 * least, ch + 2 * least);
      context.globalAlpha = 1;
      if (cw >= 16) {
        context.fillStyle = share > .55 ? tone("--card") : tone("--ink");
        context.font = font(Math.min(15, cw * .55)); context.textAlign = "center"; context.textBaseline = "middle";
        context.fillText(cell.clips.length, X(cell.column) + cw / 2, Y(cell.row) + ch / 2);
      }
    }
    context.strokeStyle = tone("--soft");
    for (const block of blocks.slice(1)) { line(context, X(block.start), Y(0), X(block.start), Y(n)); line(context, X(0), Y(block.start), X(n), Y(block.start)); }
    context.restore();
    context.strokeStyle = tone("--soft"); context.strokeRect(left, top, cw * view.columns, ch * view.rows);
    context.fillStyle = tone("--ink"); context.font = font(11); context.textBaseline = "middle";
    if (named) {
      for (let i = 0; i < view.rows; i++) { context.textAlign = "right"; context.fillText(fit(context, label(view.top + i), left - 8), left - 5, Y(view.top + i) + ch / 2); }
      for (let i = 0; i < view.columns; i++) turned(context, X(view.left + i) + cw / 2, top - 5, fit(context, label(view.left + i), top - 8), "left");
    } else for (const block of blocks) {
      const middle = (start, size, from, count) => (Math.max(start, from) + Math.min(start + size, from + count)) / 2, size = block.end - block.start;
      const area = head().areas[block.area];
      context.textAlign = "center";
      if (block.end > view.left && block.start < view.left + view.columns)
        context.fillText(fit(context, area, size * cw - 4), X(middle(block.start, size, view.left, view.columns)), top - 12);
      if (block.end > view.top && block.start < view.top + view.rows)
        turned(context, left - 12, Y(middle(block.start, size, view.top, view.rows)), fit(context, area, size * ch - 4), "center");
    }
    const inside = all.filter((cell) => cell.row !== cell.column && cell.row >= view.top && cell.row < view.top + view.rows && cell.column >= view.left && cell.column < view.left + view.columns);
    inside.sort((a, b) => b.clips.length - a.clips.length || b.clips.length / total[b.row] - a.clips.length / total[a.row]);
    list.replaceChildren(...inside.slice(0, 40).map((cell) => h("li", {}, h("button", { onclick: () => choose(cell) },
      h("span", { class: "count" }, cell.clips.length), `${label(cell.row)} → ${label(cell.column)}`))));
    const wrong = inside.reduce((sum, cell) => sum + cell.clips.length, 0);
    hint.textContent = `${inside.length} of the cells in view are errors, ${clips(wrong)} in all` + (inside.length > 40 ? "; the largest 40:" : inside.length ? ":" : ".");
  }
  function at(event) {
    const box = canvas.getBoundingClientRect();
    const row = Math.floor(view.top + (event.clientY - box.top - layout.top) / layout.ch), column = Math.floor(view.left + (event.clientX - box.left - layout.left) / layout.cw);
    if (event.clientX - box.left < layout.left || event.clientY - box.top < layout.top || row >= view.top + view.rows || column >= view.left + view.columns) return null;
    return { row, column, cell: cells.get(row * n + column) };
  }
  function choose(cell) {
    const shown = cell.clips.slice(0, 60);
    chosen.replaceChildren(h("h3", {}, cell.row === cell.column ? `${label(cell.row)}: ${cell.clips.length} of ${total[cell.row]} clips right`
      : `${cell.clips.length} of ${total[cell.row]} clips of ${label(cell.row)} predicted as ${label(cell.column)}`), clipList(shown, answered),
      cell.clips.length > shown.length ? h("p", { class: "soft small" }, `and ${cell.clips.length - shown.length} more`) : "");
  }
  const tip = h("p", { class: "small soft", style: { "min-height": "1.5em", margin: ".3rem 0" } });
  canvas.addEventListener("mousemove", (event) => {
    const found = at(event);
    tip.textContent = found ? `${label(found.row)} → ${label(found.column)}: ${found.cell ? found.cell.clips.length : 0} of ${clips(total[found.row])}` : "";
  });
  canvas.addEventListener("click", (event) => {
    const found = at(event);
    if (found && layout.cw < 8) zoom(1 / 4, found.row, found.column);
    else if (found && found.cell) choose(found.cell);
  });
  const node = h("div", {}, tools, h("div", { class: "matrix" }, h("div", {}, canvas, tip), h("div", {}, hint, list)), chosen);
  node.draw = draw;
  redraw = draw;
  return node;
}
let redraw = () => {};
function line(context, x1, y1, x2, y2) { context.beginPath(); context.moveTo(x1, y1); context.lineTo(x2, y2); context.stroke(); }
function turned(context, x, y, text, align) { context.save(); context.translate(x, y); context.rotate(-Math.PI / 2); context.textAlign = align; context.fillText(text, 0, 0); context.restore(); }
function fit(context, text, width) {
  if (context.measureText(text).width <= width) return text;
  while (text && context.measureText(text + "…").width > width) text = text.slice(0, -1);
  return text && text + "…";
}

// ---- single clips

section("clips", "Hardest and surest clips", () => [
  h("h3", {}, "Hardest: wrong, and the label has the lowest scores"), own().hardest.length ? clipList(own().hardest, answered) : h("p", {}, "No clip is wrong."),
  h("h3", {}, "Surest: correct with the highest scores"), own().surest.length ? clipList(own().surest, answered) : h("p", {}, "No clip is correct."),
]);

function clipList(list, caption, open = openClip) {
  return h("div", { class: "clips" }, list.map((clip) => h("button", { class: "clip", "data-clip": D.clips.ids[clip], onclick: (event) => { event.stopPropagation(); open(clip); } },
    thumbnail(clip), h("div", { class: "caption" }, caption(clip), h("div", { class: "soft" }, D.clips.ids[clip])))));
}
function thumbnail(clip, scale = 1) {
  const found = D.thumbnails[clip];
  if (!found) return null;
  const steps = found.frames > 1 ? { "animation-timing-function": `steps(${found.frames})`, "animation-duration": found.frames * .35 + "s" } : { animation: "none" };
  return h("span", { class: "thumb", style: { width: `min(100%, ${found.width * scale}px)`, "aspect-ratio": `${found.width} / ${found.height}` } },
    h("img", { src: found.uri, alt: "", style: { width: 100 * found.frames + "%", ...steps } }));
}
function openClip(clip) {
  const tops = D.runs.map((run, r) => h("div", {}, several ? h("h3", { style: { color: color(r) } }, run.name) : null, h("table", { class: "top" }, own(r).top[clip].map((c, i) => {
    const score = own(r).scores[clip][i] / 1000;
    return h("tr", {}, h("td", { class: c === head().labels[clip] ? "good" : "" }, c === head().labels[clip] ? `✓ ${name(c)}` : name(c)),
      h("td", {}, h("span", { class: "range", style: { "--color": color(r) } }, h("i", { style: { width: 100 * score + "%", background: color(r) } }))), h("td", { class: "number" }, score.toFixed(3)));
  })), own(r).rank[clip] > own(r).top[clip].length ? h("p", { class: "soft small" }, `the label is number ${own(r).rank[clip]}, with ${(own(r).label_score[clip] / 1000).toFixed(3)}`) : null));
  openDialog(D.clips.ids[clip], h("p", {}, "Label: ", h("strong", {}, name(head().labels[clip])), h("span", { class: "soft" }, `, ${D.areas[D.clips.areas[clip]]}`)),
    thumbnail(clip, 2.2) || (Object.keys(D.thumbnails).length ? h("p", { class: "soft small" }, "No thumbnail: only the clips that matter most have one.") : null), tops);
}
function openClass(c) {
  const mine = [], taken = [];
  for (let clip = 0; clip < N; clip++) {
    if (head().labels[clip] === c) mine.push(clip);
    else if (predicted(clip) === c) taken.push(clip);
  }
  openDialog(name(c), h("p", { class: "soft" }, [head().areas[head().area[c]], head().composites[head().composite[c]]].filter(Boolean).join(", ")),
    h("h3", {}, `Its ${clips(mine.length)}` + (several ? `, ${D.runs[state.run].name}` : "")), clipList(mine.slice(0, 60), answered),
    h("h3", {}, `Of other classes, predicted as ${name(c)}: ${clips(taken.length)}`), clipList(taken.slice(0, 60), answered));
}
const dialog = document.getElementById("dialog");
function openDialog(title, ...content) {
  dialog.replaceChildren(h("button", { class: "close", "aria-label": "Close", onclick: () => dialog.close() }, "✕"), h("h2", {}, title), ...content.flat().filter(Boolean));
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
}
dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });

// ---- map and files

section("map", "Map of the features", () => {
  const found = D.runs.filter((run) => run.map);
  if (!found.length && !(D.notes.maps || []).length) return null;
  return [...found.map((run) => h("figure", { style: { margin: "0" } }, several ? h("h3", {}, run.name) : null, h("div", { class: "map" }, h("img", { src: run.map, alt: `t-SNE of the features of ${run.name}` })))), ...notes("maps")];
});
section("files", "Files", () => [
  h("p", { class: "soft" }, "The tables and pictures next to this page."),
  h("ul", { class: "files small" }, D.files.map((file) => h("li", {}, h("a", { href: encodeURI(file) }, file)))),
  h("p", { class: "soft small" }, D.runs.map((run) => `${run.name}: ${run.facts.predictions}`).join("; ")),
]);

// ---- the page

function drawAll() {
  const main = document.getElementById("main"), links = [];
  const parts = sections.map(({ id, title, draw }) => {
    const content = draw();
    if (content === null) return null;
    links.push(h("a", { href: "#" + id }, title));
    return h("section", { id }, h("h2", {}, title), content);
  }).filter(Boolean);
  const set = [D.dataset, `${D.split} split`, clips(N), `${head().classes.length} ${state.head} classes`].filter(Boolean);
  main.replaceChildren(h("h1", {}, D.runs.map((run) => run.name).join(" · ")), h("p", { class: "soft" }, set.join(" · ")), ...parts);
  const choice = (title, key, options) => h("label", {}, title, h("select", { id: "choose-" + key, onchange: (event) => {
    state[key] = key === "run" ? +event.target.value : event.target.value;
    const at = scrollY;
    drawAll();
    scrollTo(0, at);
  } }, options.map(([value, text]) => h("option", { value, selected: String(value) === String(state[key]) ? "" : null }, text))));
  const still = h("label", {}, h("input", { type: "checkbox", id: "play", checked: document.body.classList.contains("still") ? null : "", style: { "min-height": "0" },
    onchange: (event) => document.body.classList.toggle("still", !event.target.checked) }), "play clips");
  document.getElementById("bar").replaceChildren(...links, h("span", { class: "choices" },
    several ? choice("run", "run", D.runs.map((run, r) => [r, run.name])) : null,
    Object.keys(D.heads).length > 1 ? choice("head", "head", Object.keys(D.heads).map((key) => [key, key])) : null,
    Object.keys(D.thumbnails).length ? still : null));
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => redraw());
let resized = 0;
addEventListener("resize", () => { clearTimeout(resized); resized = setTimeout(() => redraw(), 150); });
