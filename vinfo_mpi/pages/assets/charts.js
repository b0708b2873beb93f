"use strict";
// Small drawings of one concept: curves with errors, a histogram, where it stands among all.

const charts = (() => {
  const { element } = report;
  const self = {};

  const SVG = (tag, attributes, ...children) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  };

  // Lines over named places, values from 0 to 1, with a bar of one standard error to either side; the numbers stand in a
  // table below. A line is { values, errors }.
  self.curves = (title, unit, names, lines) => {
    const short = names.every(name => name.length < 4), end = name => name.length > 11 ? `…${name.slice(-10)}` : name;
    const WIDE = 360, HIGH = 150, LEFT = 44, RIGHT = 10, TOP = 8, BOTTOM = short ? 22 : 62;
    const x = place => LEFT + (WIDE - LEFT - RIGHT) * (names.length > 1 ? place / (names.length - 1) : 0.5);
    const y = value => TOP + HIGH * (1 - value);
    const said = Object.entries(lines).map(([name, { values }]) => `${name}: ${values.map(value => report.rounded(value)).join(", ")}`).join("; ");
    const svg = SVG("svg", { viewBox: `0 0 ${WIDE} ${TOP + HIGH + BOTTOM}`, role: "img", "aria-label": `${title}. ${said}` });
    for (const value of [0, 0.5, 1]) {
      svg.append(SVG("line", { x1: LEFT, x2: WIDE - RIGHT, y1: y(value), y2: y(value), class: "grid" }),
        SVG("text", { x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, String(value)));
    }
    const every = Math.ceil(names.length / 17);
    names.forEach((name, place) => {
      if (place % every) return;
      const there = `translate(${x(place)} ${TOP + HIGH + 14})${short ? "" : " rotate(-45)"}`;
      svg.append(SVG("text", { transform: there, "text-anchor": short ? "middle" : "end" }, end(name)));
    });
    Object.values(lines).forEach(({ values, errors }, number) => {
      const there = [...values.keys()].filter(place => values[place] !== null);
      svg.append(SVG("polyline", { points: there.map(place => `${x(place)},${y(values[place])}`).join(" "), class: `line line-${number}` }));
      for (const place of there) {
        const error = errors?.[place];
        if (error != null) {
          svg.append(SVG("line", { x1: x(place), x2: x(place), y1: y(values[place] - error), y2: y(values[place] + error),
            class: `line error line-${number}` }));
        }
        svg.append(SVG("circle", { cx: x(place), cy: y(values[place]), r: 3, class: `dot line-${number}` },
          SVG("title", {}, `${names[place]}: ${values[place]}${error == null ? "" : ` ± ${report.rounded(error)}`}`)));
      }
    });
    const legend = Object.keys(lines).map((name, number) => element("span", { class: `key line-${number}` }, name));
    return element("figure", { class: "chart" },
      element("figcaption", {}, title, element("span", { class: "legend" }, ...legend.length > 1 ? legend : [unit])),
      svg, numbers(names, lines));
  };

  function numbers(names, lines) {
    const rows = names.map((name, place) => element("tr", {}, element("th", { scope: "row" }, name),
      ...Object.values(lines).map(({ values, errors }) =>
        element("td", {}, report.number(values[place]), errors?.[place] == null ? "" : ` ± ${report.rounded(errors[place])}`))));
    const heads = element("tr", {}, element("th", { scope: "col" }, ""), ...Object.keys(lines).map(name => element("th", { scope: "col" }, name)));
    return element("details", {}, element("summary", {}, "numbers"),
      element("table", {}, element("thead", {}, heads), element("tbody", {}, ...rows)));
  }

  // How its codes are distributed, with a mark where each of the images that are shown lies.
  self.histogram = ({ ends: [low, high], counts, zeros }, marks) => {
    const WIDE = 240, HIGH = 70, SIDE = 4, BOTTOM = 28;
    const images = counts.reduce((sum, count) => sum + count, zeros), most = Math.max(...counts, 1);
    const x = code => SIDE + (WIDE - 2 * SIDE) * (code - low) / (high - low || 1), width = (WIDE - 2 * SIDE) / counts.length;
    const caption = `${zeros} of ${images} images have a code of exactly 0; the others, with a mark for each image shown:`;
    const svg = SVG("svg", { viewBox: `0 0 ${WIDE} ${HIGH + BOTTOM}`, role: "img",
      "aria-label": `Distribution of its codes from ${report.rounded(low)} to ${report.rounded(high)}: ${counts.join(", ")} images per bin` });
    counts.forEach((count, bin) => {
      const top = HIGH * count / most, from = low + (high - low) * bin / counts.length;
      svg.append(SVG("rect", { x: SIDE + bin * width, y: HIGH - top, width: Math.max(width - 1, 0.5), height: top, class: "bin" },
        SVG("title", {}, `${count} images, codes from ${report.rounded(from)} to ${report.rounded(from + (high - low) / counts.length)}`)));
    });
    svg.append(SVG("line", { x1: SIDE, x2: WIDE - SIDE, y1: HIGH, y2: HIGH, class: "edge" }));
    for (const code of marks) svg.append(SVG("line", { x1: x(code), x2: x(code), y1: HIGH + 1, y2: HIGH + 7, class: "mark" }));
    svg.append(SVG("text", { x: SIDE, y: HIGH + 22 }, report.rounded(low)),
      SVG("text", { x: WIDE / 2, y: HIGH + 22, "text-anchor": "middle" }, "code"),
      SVG("text", { x: WIDE - SIDE, y: HIGH + 22, "text-anchor": "end" }, report.rounded(high)));
    return element("figure", { class: "histogram" }, element("figcaption", {}, caption), svg);
  };

  // Where a value lies among those of all living concepts: their histogram from 0 to `end`, by default the largest of them, the
  // value, one standard error to either side.
  self.standing = (end, others, value, error) => {
    const WIDE = 200, HIGH = 34, BINS = 40;
    const high = end ?? others.reduce((largest, other) => Math.max(largest, other), 0);
    const counts = new Array(BINS).fill(0), x = number => WIDE * Math.min(1, Math.max(0, number / (high || 1)));
    for (const other of others.filter(Number.isFinite)) counts[Math.min(BINS - 1, Math.floor(BINS * x(other) / WIDE))]++;
    const most = counts.reduce((one, other) => Math.max(one, other), 1);
    const svg = SVG("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, preserveAspectRatio: "none", "aria-hidden": "true" });
    counts.forEach((count, bin) => svg.append(SVG("rect", {
      x: bin * WIDE / BINS, width: WIDE / BINS - 0.6, y: HIGH * (1 - count / most), height: HIGH * count / most, class: "bin" })));
    if (Number.isFinite(value)) {
      if (error != null) svg.append(SVG("rect", { x: x(value - error), width: x(value + error) - x(value - error), y: 0, height: HIGH, class: "band" }));
      svg.append(SVG("line", { x1: x(value), x2: x(value), y1: 0, y2: HIGH, class: "mark" }));
    }
    return element("div", { class: "scale" }, svg, element("span", { class: "ends" }, element("span", {}, "0"),
      element("span", {}, report.rounded(high))));
  };

  return self;
})();
