"use strict";
// One concept, the one that the address names: concept.html#17.

(() => {
  const { element, columns } = report;
  const page = document.getElementById("concept");
  const order = [...report.alive.keys()].filter(concept => report.alive[concept])
    .sort((a, b) => columns.complexity[a] - columns.complexity[b] || a - b);
  const places = new Map(order.map((concept, place) => [concept, place]));
  let heat = true;

  async function show() {
    const concept = Number(location.hash.slice(1) || 0);
    if (!Number.isInteger(concept) || concept < 0 || concept >= report.concepts) {
      page.replaceChildren(element("p", { class: "warning" }, `There is no concept ${location.hash.slice(1)}: they go from 0 to ${report.concepts - 1}.`));
      return;
    }
    document.getElementById("title").textContent = `Concept ${report.name(concept)}`;
    document.title = `Concept ${report.name(concept)}, ${report.title}`;
    const place = places.get(concept);
    step("previous", concept - 1);
    step("next", concept + 1);
    step("simpler", order[place - 1]);
    step("harder", order[place + 1]);
    let data;
    try {
      data = await report.load(concept);
    } catch (error) {
      page.replaceChildren(element("p", { class: "warning" }, `${error.message}: copy the whole folder of the report.`));
      return;
    }
    if (concept !== Number(location.hash.slice(1) || 0)) return;  // another one has been asked for meanwhile
    page.replaceChildren(...[summary(concept, data), picture(concept, data), examples(concept, data), curves(data), classes(data),
      neighbours(data), values(data)].filter(Boolean));
    page.dataset.concept = concept;
  }

  function step(id, concept) {
    const link = document.getElementById(id);
    if (concept >= 0 && concept < report.concepts) link.href = `#${concept}`;
    else link.removeAttribute("href");
  }

  const section = (title, ...children) => element("section", {}, element("h2", {}, title), ...children);

  function summary(concept, { values }) {
    const parts = [["class", report.className(report.class[concept])]];
    for (const name of ["complexity", "temporal", "importance"]) {
      if (!(name in values)) continue;
      const error = values[`${name}_se`];
      const others = name === "complexity" ? values.dictionary_se : null;
      parts.push([report.labels[name], element("span", {}, report.number(values[name]), ...error == null ? [] : [" ± ", report.number(error)],
        ...others == null ? [] : [" over images, ± ", report.number(others), " over dictionaries"])]);
    }
    const place = places.get(concept);
    parts.push(["place", place === undefined ? "dead: no image activates it, or all do alike" : `${place + 1} of ${order.length}, from simple to complex`]);
    return element("dl", { class: "facts" }, ...parts.map(([name, value]) =>
      element("div", {}, element("dt", {}, name), element("dd", {}, value))));
  }

  function picture(concept, { picture }) {
    if (!picture) return null;
    const share = element("figcaption", {}, "its code is ", report.number(picture.activation), "; the 99th percentile over the images is ",
      report.number(picture.reference));
    return section("A picture drawn to activate it", element("figure", { class: "picture" },
      element("img", { src: `images/picture_${concept}.webp`, alt: `Optimised picture of concept ${concept}` }), share));
  }

  function examples(concept, { examples }) {
    const figures = examples.map((one, column) => one && example(concept, column, one));
    const most = report.captions.filter(text => text.startsWith("most activating")).length;
    const parts = [];
    if (report.grid) {
      const box = element("input", { type: "checkbox", id: "heat" });
      box.checked = heat;
      box.addEventListener("change", () => toggle(box.checked));
      parts.push(element("label", { class: "heat" }, box, " heat maps: where in the image the concept is, relative to the image's largest value"));
    }
    const none = () => element("p", {}, "No image activates it.");
    const grid = (from, to) => {
      const there = figures.slice(from, to).filter(Boolean);
      return there.length ? element("div", { class: "examples" }, ...there) : none();
    };
    parts.push(element("h3", {}, "Most activating"), grid(0, most));
    if (figures.length > most) parts.push(element("h3", {}, "At other levels of its activation"), grid(most));
    return section("Images that show it", ...parts);
  }

  function example(concept, column, one) {
    const label = report.className(one.label), predicted = report.className(one.prediction);
    const caption = report.captions[column];
    const alt = `Image ${one.id} of class ${label}, ${caption}: code ${report.rounded(one.code)}`;
    const tile = report.example(concept, column, alt);
    if (report.grid) tile.append(heatMap(report.bytes(one.heat)));
    const text = element("figcaption", {}, element("strong", {}, report.number(one.code)), ` ${label}`);
    if (one.label !== one.prediction) text.append(element("span", { class: "wrong" }, ` taken for ${predicted}`));
    if (!caption.startsWith("most activating")) text.append(element("span", { class: "level" }, caption));
    return element("figure", { title: `image ${one.id}` }, tile, text);
  }

  // One pixel per position, enlarged by the browser; grey where the position was not kept.
  function heatMap(values) {
    const canvas = element("canvas", { width: report.grid, height: report.grid, class: "heatmap", "aria-hidden": "true" });
    const context = canvas.getContext("2d"), image = context.createImageData(report.grid, report.grid);
    values.forEach((value, index) => {
      const share = value / 254;
      image.data.set(value === 255 ? [128, 128, 128, 110] : [255, 200 - 160 * share, 0, 175 * share], 4 * index);
    });
    context.putImageData(image, 0, 0);
    canvas.hidden = !heat;
    return canvas;
  }

  function toggle(on) {
    heat = on;
    document.querySelectorAll(".heatmap").forEach(canvas => { canvas.hidden = !on; });
    const box = document.getElementById("heat");
    if (box) box.checked = on;
  }

  function curves(data) {
    const charts = [];
    if (data.taps) charts.push(chart("How well it can be read from each layer", "V-information", report.taps, { "V-information": data.taps }));
    if (data.epochs) charts.push(chart("... and from the last layer after each epoch", "V-information", report.epochs.map(String), { "V-information": data.epochs }));
    if (data.main) charts.push(chart("What the branches of each block carry of it", "CKA", report.blocks, { shortcut: data.shortcut, "main branch": data.main }));
    return section("Where and when it is there", element("div", { class: "charts" }, ...charts));
  }

  const SVG = (tag, attributes, ...children) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  };

  // Lines over named places, values from 0 to 1; the numbers stand in a table below.
  function chart(title, unit, names, lines) {
    const short = names.every(name => name.length < 4), end = name => name.length > 11 ? `…${name.slice(-10)}` : name;
    const WIDE = 360, HIGH = 150, LEFT = 44, RIGHT = 10, TOP = 8, BOTTOM = short ? 22 : 62;
    const x = place => LEFT + (WIDE - LEFT - RIGHT) * (names.length > 1 ? place / (names.length - 1) : 0.5);
    const y = value => TOP + HIGH * (1 - value);
    const said = Object.entries(lines).map(([name, values]) => `${name}: ${values.map(report.rounded).join(", ")}`).join("; ");
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
    Object.values(lines).forEach((values, number) => {
      const there = [...values.keys()].filter(place => values[place] !== null);
      svg.append(SVG("polyline", { points: there.map(place => `${x(place)},${y(values[place])}`).join(" "), class: `line line-${number}` }));
      for (const place of there) {
        svg.append(SVG("circle", { cx: x(place), cy: y(values[place]), r: 3, class: `dot line-${number}` },
          SVG("title", {}, `${names[place]}: ${values[place]}`)));
      }
    });
    const legend = Object.keys(lines).map((name, number) => element("span", { class: `key line-${number}` }, name));
    const rows = names.map((name, place) => element("tr", {}, element("th", { scope: "row" }, name),
      ...Object.values(lines).map(values => element("td", {}, report.number(values[place])))));
    const heads = element("tr", {}, element("th", { scope: "col" }, ""), ...Object.keys(lines).map(name => element("th", { scope: "col" }, name)));
    const table = element("details", {}, element("summary", {}, "numbers"), element("table", {}, element("thead", {}, heads), element("tbody", {}, ...rows)));
    return element("figure", { class: "chart" }, element("figcaption", {}, title, element("span", { class: "legend" }, ...legend.length > 1 ? legend : [unit])),
      svg, table);
  }

  function classes({ classes }) {
    if (!classes?.length) return null;
    const largest = classes[0][1];
    const bars = classes.map(([number, value]) => {
      const bar = element("span", { class: "bar" });
      bar.style.width = `${60 * value / largest}%`;
      return element("li", {}, element("span", { class: "who" }, report.className(number)), bar, report.number(value));
    });
    return section("For which predictions it matters", element("p", {}, "Mean importance over the images that are taken for a class, in units of its logit."),
      element("ul", { class: "bars" }, ...bars));
  }

  function neighbours({ nearest }) {
    const cells = nearest.map(([concept, cosine]) => {
      const link = element("a", { href: `#${concept}` }, report.thumbnail(concept, ""), element("span", {}, report.name(concept)));
      return element("li", {}, link, report.number(cosine));
    });
    return section("Nearest atoms", element("p", {}, "Other concepts, by the cosine of the angle between their directions."),
      element("ul", { class: "neighbours" }, ...cells));
  }

  function values({ values }) {
    const rows = Object.entries(values).map(([name, value]) => element("tr", {},
      element("th", { scope: "row" }, name), element("td", {}, report.number(value)), element("td", {}, report.descriptions[name] ?? "")));
    return section("All numbers", element("div", { class: "wide" }, element("table", { id: "values" }, element("tbody", {}, ...rows))));
  }

  addEventListener("hashchange", show);
  addEventListener("keydown", event => {
    if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey || event.target.closest("input, select, .wide")) return;
    if (event.key === "h") toggle(!heat);
    const id = { ArrowLeft: "previous", ArrowRight: "next" }[event.key];
    if (id) document.getElementById(id).click();
  });
  show();
})();
