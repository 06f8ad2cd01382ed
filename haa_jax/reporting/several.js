// Clips of several classes: sections in place of those of page.js that compare one label with one prediction.
const shared = Object.fromEntries(sections.map((each) => [each.id, each]));
sections.length = 0;
const iou = (clip, run = state.run) => own(run).iou[clip] / 1000;
const names = (ids) => ids.length ? ids.map(name).join(", ") : "nothing";
const titleOf = { mean_iou: "mean IOU", mean_average_precision: "mean average precision" };
const shownOrNot = (value) => value === null ? "" : value.toFixed(2);

section("accuracies", "Figures", () => [
  tiles(({ mean_iou }) => mean_iou, (figures) => `mean IOU; mean average precision ${percent(figures.mean_average_precision.value)}`),
  figureTable(Object.keys(own(0).figures).map((key) => figureLine(titleOf[key], (figures) => figures[key]))),
  h("p", { class: "soft small" }, "Clips have several classes. IOU: how many classes are both predicted and the clip's own, of those that are either. ± is one standard error of the sample of clips."),
]);
sections.push(shared.curves);

section("classes", "Classes", () => {
  const of = (c, r) => own(r).classes[c];
  const columns = [
    { title: "Class", value: name, cell: (c) => h("button", { class: "plain" }, breakable(name(c))) },
    { title: "Clips", number: true, value: (c) => of(c).clips },
    ...D.runs.map((run, r) => ({ title: several ? `${run.name}: AP` : "Average precision", number: true,
      value: (c) => of(c, r).average_precision ?? -1,
      cell: (c) => of(c, r).average_precision === null ? "" : [shownOrNot(of(c, r).average_precision),
        h("span", { class: "meter", style: { "--color": color(r) } }, h("i", { style: { width: 100 * of(c, r).average_precision + "%" } }))] })),
    { title: "Predicted", number: true, narrow: true, value: (c) => of(c).predicted },
    ...["precision", "recall", "f1"].map((key) => ({ title: key === "f1" ? "F1" : key[0].toUpperCase() + key.slice(1), number: true, narrow: true,
      value: (c) => of(c)[key] ?? -1, cell: (c) => shownOrNot(of(c)[key]) })),
  ];
  const search = h("input", { type: "search", id: "class-filter", placeholder: "Filter by class", "aria-label": "Filter classes by text", oninput: () => fill() });
  const { table, fill } = classTable(columns, 2, openSet, (c) => name(c).toLowerCase().includes(search.value.trim().toLowerCase()));
  return [h("p", { class: "soft" }, "A click on a row shows the clips of the class. Precision, recall and F1 are at the threshold; average precision needs none."
    + (several ? ` The last columns are of ${D.runs[state.run].name}.` : "")),
    h("div", { class: "row" }, search), table];
});

section("clips", "Clips by IOU", () => {
  const order = own().by_iou, most = 24;
  const lowest = order.slice(0, most), highest = order.slice(Math.max(most, order.length - most)).reverse();
  const counts = [[0, 0], [.001, .499], [.5, .999], [1, 1]].map(([low, high]) => order.filter((clip) => iou(clip) >= low && iou(clip) <= high).length);
  return [h("p", { class: "soft" }, `IOU is 0 for ${clips(counts[0])}, below one half for ${counts[1]}, from one half to below 1 for ${counts[2]}, and 1 for ${counts[3]}.`),
    ...notes("thumbnails"), h("h3", {}, "Lowest"), setList(lowest), ...(highest.length ? [h("h3", {}, "Highest"), setList(highest)] : [])];
});
sections.push(shared.map, shared.files);

function setList(list) {
  return clipList(list, (clip) => {
    const labels = head().labels[clip], given = own().predicted[clip], wrong = given.filter((c) => !labels.includes(c));
    const missed = labels.filter((c) => !given.includes(c)), right = labels.filter((c) => given.includes(c));
    return [h("div", { class: "soft" }, `IOU ${iou(clip).toFixed(2)}`), right.length ? h("div", { class: "good" }, `✓ ${names(right)}`) : null,
      missed.length ? h("div", {}, `missed: ${names(missed)}`) : null, wrong.length ? h("div", { class: "bad" }, `✗ ${names(wrong)}`) : null];
  }, openSetClip);
}
function openSetClip(clip) {
  const labels = head().labels[clip];
  const tops = D.runs.map((run, r) => h("div", {}, several ? h("h3", { style: { color: color(r) } }, run.name) : null,
    h("p", { class: "soft small" }, `IOU ${iou(clip, r).toFixed(2)}, predicted: ${names(own(r).predicted[clip])}`),
    h("table", { class: "top" }, own(r).top[clip].map((c, i) => {
      const score = own(r).scores[clip][i] / 1000;
      return h("tr", {}, h("td", { class: labels.includes(c) ? "good" : "" }, labels.includes(c) ? `✓ ${name(c)}` : name(c)),
        h("td", {}, h("span", { class: "range", style: { "--color": color(r) } }, h("i", { style: { width: 100 * score + "%", background: color(r) } }))), h("td", { class: "number" }, score.toFixed(3)));
    }))));
  openDialog(D.clips.ids[clip], h("p", {}, "Labels: ", h("strong", {}, names(labels))), thumbnail(clip, 2.2), tops);
}
function openSet(c) {
  const all = D.clips.ids.map((_, clip) => clip), has = (clip) => head().labels[clip].includes(c), given = (clip) => own().predicted[clip].includes(c);
  const part = (title, list) => [h("h3", {}, `${title}: ${clips(list.length)}`), setList(list.slice(0, 60))];
  openDialog(name(c), ...part("Missed", all.filter((clip) => has(clip) && !given(clip))),
    ...part("Predicted wrongly", all.filter((clip) => !has(clip) && given(clip))), ...part("Right", all.filter((clip) => has(clip) && given(clip))));
}
