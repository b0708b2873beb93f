"use strict";
// The concepts as tiles.

const gallery = (() => {
  const { element, columns } = report;
  const box = document.getElementById("gallery");
  const HEIGHT = 164, WIDTH = 116;  // pixels of a tile with the gap after it, as in concepts.css

  return {
    box,
    items: box,
    height: HEIGHT,
    header: 0,
    across: () => Math.max(1, Math.floor((box.clientWidth - 12) / WIDTH)),
    space: lines => {
      const made = element("li", { class: "space", "aria-hidden": "true" });
      made.style.height = `${lines * HEIGHT}px`;
      return made;
    },
    item: (concept, place, count) => {
      const alive = report.alive[concept], error = report.errors.complexity?.[concept];
      const value = `${report.rounded(columns.complexity[concept])}${Number.isFinite(error) ? ` ± ${report.rounded(error, 2)}` : ""}`;
      const of = report.class[concept] < 0 ? "" : ` · ${report.className(report.class[concept])}`;
      const alt = `Concept ${report.name(concept)}: ${alive ? "the image that activates it most" : "dead"}`;
      const bar = element("span", { class: "complexity" }, element("span", {}));
      bar.firstChild.style.width = `${100 * Math.min(1, Math.max(0, columns.complexity[concept] || 0))}%`;
      const link = report.link(concept, report.thumbnail(concept, alt), element("span", { class: "who" }, `${report.name(concept)}${of}`),
        element("span", { class: "value", title: "complexity" }, alive ? value : "dead"), bar);
      link.title = `${report.name(concept)}${of}`;
      return element("li", { "data-concept": concept, class: alive ? null : "dead", "aria-posinset": place + 1, "aria-setsize": count }, link);
    },
    mark: () => {},
  };
})();
