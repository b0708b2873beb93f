"use strict";
// The concepts as rows of numbers.

const table = (() => {
  const { element } = report;
  const box = document.getElementById("table");
  const head = box.querySelector("thead tr"), body = box.querySelector("tbody");
  const HEIGHT = 56;  // pixels of a row, as in concepts.css
  const WIDE = 72, HIGH = 24;  // of a small curve
  const labels = { concept: "concept", class: "class", ...report.curves && { curve: "V per layer" }, ...report.labels };
  const shown = Object.keys(labels).filter(name => labels[name]);
  const taps = report.taps.length;

  for (const name of shown) {
    const title = name === "curve" ? "V-information from each layer, 0 to 1" : report.descriptions[name];
    const label = name === "curve" ? element("span", {}, labels[name]) : element("button", { type: "button" }, labels[name]);
    head.append(element("th", { scope: "col", "data-column": name, title }, label));
  }

  // V-information from every layer, drawn; the numbers are on the concept's page.
  function curve(concept) {
    const values = [...report.curves.subarray(concept * taps, (concept + 1) * taps)].map(value => value / 255);
    const points = values.map((value, tap) => `${(WIDE * (taps > 1 ? tap / (taps - 1) : 0.5)).toFixed(1)},${(HIGH * (1 - value)).toFixed(1)}`);
    const made = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    made.setAttribute("viewBox", `-2 -2 ${WIDE + 4} ${HIGH + 4}`);
    made.setAttribute("role", "img");
    made.setAttribute("aria-label", `${values[0].toFixed(2)} at the first layer, ${values[taps - 1].toFixed(2)} at the last`);
    const line = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
    line.setAttribute("points", points.join(" "));
    made.append(line);
    return made;
  }

  function cell(name, concept) {
    if (name === "class") return [report.className(report.class[concept])];
    if (name === "curve") return report.alive[concept] ? [curve(concept)] : ["–"];
    const error = report.errors[name]?.[concept];
    const made = [report.number(report.columns[name][concept])];
    if (Number.isFinite(error)) made.push(element("span", { class: "error", title: `standard error ${error}` }, ` ± ${report.rounded(error, 2)}`));
    return made;
  }

  return {
    box,
    items: body,
    height: HEIGHT,
    get header() { return head.offsetHeight; },
    across: () => 1,
    space: lines => {
      const made = element("tr", { class: "space", "aria-hidden": "true" }, element("td", { colspan: shown.length }));
      made.style.height = `${lines * HEIGHT}px`;
      return made;
    },
    item: (concept, place) => {
      const link = report.link(concept);
      const alt = `Concept ${report.name(concept)}: ${report.alive[concept] ? "the image that activates it most" : "dead"}`;
      link.append(report.thumbnail(concept, alt), report.name(concept));
      const cells = shown.map(name => name === "concept" ? element("th", { scope: "row" }, link)
        : element("td", { "data-column": name }, ...cell(name, concept)));
      return element("tr", { "aria-rowindex": place + 2, "data-concept": concept, class: report.alive[concept] ? null : "dead" }, ...cells);
    },
    // Say by which column the rows are sorted, and how many there are.
    mark: (key, falling, count) => {
      for (const cell of head.children) {
        if (cell.dataset.column === "curve") continue;
        cell.setAttribute("aria-sort", cell.dataset.column === key ? (falling ? "descending" : "ascending") : "none");
      }
      box.setAttribute("aria-rowcount", count + 1);
    },
    onSort: act => head.addEventListener("click", event => {
      const name = event.target.closest("button")?.parentElement.dataset.column;
      if (name) act(name);
    }),
  };
})();
