"use strict";
// One concept, the one that the address names: concept.html#17.

(() => {
  const { element, columns } = report;
  const page = document.getElementById("concept");
  const living = [...report.alive.keys()].filter(concept => report.alive[concept]);
  const orders = {};  // the living concepts by a column, rising, and where each stands
  for (const name of ["complexity", "importance", "temporal"].filter(name => columns[name])) {
    const order = living.toSorted((a, b) => columns[name][a] - columns[name][b] || a - b);
    orders[name] = { order, places: new Map(order.map((concept, place) => [concept, place])) };
  }
  const { order, places } = orders.complexity;
  const ENDS = { complexity: "from simple to complex", importance: "from unimportant to important", temporal: "from early to late" };
  let view = null;  // what lies over the images: "heat", "eigencam" or nothing

  async function show() {
    const concept = Number(location.hash.slice(1) || 0);
    if (!Number.isInteger(concept) || concept < 0 || concept >= report.concepts) {
      page.replaceChildren(element("p", { class: "warning" }, `There is no concept ${location.hash.slice(1)}: concepts are numbered 0 to ${report.concepts - 1}.`));
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
    const top = element("div", { class: "above" }, examples(concept, data),
      element("div", { class: "facing" }, ...[standing(concept, data), picture(concept, data), histogram(data)].filter(Boolean)));
    page.replaceChildren(...[element("p", { class: "sentence" }, data.sentence), top, curves(data), classes(data), neighbours(data),
      values(data)].filter(Boolean));
    page.dataset.concept = concept;
    look(view);
  }

  function step(id, concept) {
    const link = document.getElementById(id);
    if (concept >= 0 && concept < report.concepts) link.href = `#${concept}`;
    else link.removeAttribute("href");
  }

  const section = (title, ...children) => element("section", {}, element("h2", {}, title), ...children);

  // Where it stands in complexity, importance and time.
  function standing(concept, { values }) {
    const rows = Object.entries(orders).map(([name, { order, places }]) => {
      const error = values[`${name}_se`], others = name === "complexity" ? values.dictionary_se : null, place = places.get(concept);
      const number = element("dd", {}, report.number(values[name]), ...error == null ? [] : [" ± ", report.number(error)],
        ...others == null ? [] : [" over images, ± ", report.number(others), " over dictionaries"]);
      const said = place === undefined ? "dead: no image activates it, or all do alike" : `${place + 1} of ${order.length}, ${ENDS[name]}`;
      return element("div", {}, element("dt", {}, report.labels[name]), number,
        element("dd", {}, charts.standing(name === "importance" ? null : 1, order.map(other => columns[name][other]), values[name], error)),
        element("dd", { class: "place" }, said));
    });
    const fitted = element("p", { class: "fitted" }, "fitted to images of class ", element("strong", {}, report.className(report.class[concept])));
    return element("section", { class: "standing" }, element("h2", {}, "Where it stands"), fitted, element("dl", {}, ...rows));
  }

  function picture(concept, { picture }) {
    if (!picture) return null;
    const weak = picture.activation < picture.reference;
    const caption = element("figcaption", {}, "Drawn to activate it: its code is ", report.number(picture.activation), ", the 99th percentile over the images ",
      report.number(picture.reference), ".");
    if (weak) caption.append(element("strong", { class: "weak" }, " Below it: this picture does not show the concept well."));
    return section("Picture", element("figure", { class: "picture" },
      element("img", { src: `images/picture_${concept}.webp`, alt: `Optimised picture of concept ${concept}` }), caption));
  }

  function histogram({ histogram, examples }) {
    return section("Its codes", charts.histogram(histogram, examples.filter(Boolean).map(({ code }) => code)));
  }

  function examples(concept, { examples, facets, eigen_cam }) {
    const strongest = Math.max(0, ...examples.filter(Boolean).map(({ largest }) => largest));
    const figures = examples.map((shown, column) => shown && example(concept, column, shown, strongest));
    const most = report.captions.filter(text => text.startsWith("most activating")).length;
    const levels = report.captions.filter(text => !text.startsWith("hardest")).length;
    const grid = (from, to) => {
      const there = figures.slice(from, to).filter(Boolean);
      return there.length ? element("div", { class: "examples" }, ...there) : element("p", {}, "No image activates it.");
    };
    const parts = [];
    if (report.grid) parts.push(legend(strongest, examples.some(shown => shown?.eigen_cam)));
    if (eigen_cam) {
      const positions = report.bytes(examples[0].eigen_cam).filter(value => value !== 255).length;
      parts.push(element("p", { id: "follows" }, "How far its heat maps follow what dominates the layer (Eigen-CAM): r = ",
        report.number(eigen_cam.correlation), `, the mean correlation over ${positions} positions in ${eigen_cam.images} of its most activating images.`));
    }
    if (facets) parts.push(...facets.flatMap((facet, index) => ofFacet(concept, facets, index, figures.slice(0, most).filter((_, column) => examples[column]?.facet === index + 1))));
    else parts.push(element("h3", {}, "Most activating"), grid(0, most));
    if (levels > most) parts.push(element("h3", {}, "At other levels of its activation"), grid(most, levels));
    if (figures.length > levels) parts.push(element("h3", {}, "Hardest: the last layer tells least of its code"), grid(levels));
    return element("section", { class: "shown" }, element("h2", {}, "Images that show it"), ...parts);
  }

  // The images of one facet, after the picture that was drawn of it.
  function ofFacet(concept, facets, index, figures) {
    const { images, picture, class: most, of_class } = facets[index], number = index + 1;
    const tiles = element("div", { class: "examples" }, ...figures);
    if (picture) {
      const text = element("figcaption", {}, element("strong", {}, report.number(picture.activation)), " drawn of this facet");
      const doubts = [];
      if (picture.activation < picture.reference) doubts.push("It does not show the concept well: its code is below the 99th percentile.");
      if (picture.nearest !== number) doubts.push(`It does not show this facet: it is nearer to the images of facet ${picture.nearest}.`);
      text.append(...doubts.map(doubt => element("span", { class: "level weak" }, doubt)));
      const image = element("img", { src: `images/picture_${concept}_facet_${number}.webp`, alt: `Optimised picture of facet ${number} of concept ${concept}` });
      tiles.prepend(element("figure", { class: "drawn" }, image, text));
    }
    const classes = most < 0 ? "" : `, ${of_class} of class ${report.className(most)}`;
    return [element("h3", { class: "facet" }, `Facet ${number} of ${facets.length}: ${images} of its strongest images${classes}`), tiles];
  }

  function example(concept, column, shown, strongest) {
    const label = report.className(shown.label), predicted = report.className(shown.prediction);
    const caption = report.captions[column];
    const among = shown.facet && caption.startsWith("most activating") ? `among the strongest of facet ${shown.facet}` : caption;
    const alt = `Image ${shown.id} of class ${label}, ${among}: code ${report.rounded(shown.code)}`;
    const tile = report.example(concept, column, alt);
    if (report.grid) tile.append(heatMap("heatmap", report.bytes(shown.heat), strongest && shown.largest / strongest));
    if (shown.eigen_cam) tile.append(heatMap("eigencam", report.bytes(shown.eigen_cam), 1));
    const text = element("figcaption", {}, element("strong", {}, report.number(shown.code)), ` ${label}`);
    if (shown.label !== shown.prediction) text.append(element("span", { class: "wrong" }, ` taken for ${predicted}`));
    if (!caption.startsWith("most activating")) text.append(element("span", { class: "level" }, caption));
    if (shown.facet && among === caption) text.append(element("span", { class: "level" }, `facet ${shown.facet}`));
    return element("figure", { title: `image ${shown.id}` }, tile, text);
  }

  // Orange over a grey image, the more opaque the larger the code: told from grey without red-green vision too.
  const HEAT = [255, 160, 0], OPAQUE = 230;

  // One block per position, of which none is smoothed into another; blue where the position was not kept. All heat
  // maps of a concept have one scale: `scale` is the largest code of the image over the largest of all images that are shown.
  // What dominates the layer has a scale in each image.
  function heatMap(name, values, scale) {
    const canvas = element("canvas", { width: report.grid, height: report.grid, class: name, "aria-hidden": "true" });
    const context = canvas.getContext("2d"), image = context.createImageData(report.grid, report.grid);
    values.forEach((value, index) => {
      image.data.set(value === 255 ? [70, 90, 200, 110] : [...HEAT, OPAQUE * scale * value / 254], 4 * index);
    });
    context.putImageData(image, 0, 0);
    return canvas;
  }

  function legend(strongest, dominant) {
    const ramp = () => {
      const bar = element("span", { class: "ramp" });
      bar.style.background = `linear-gradient(to right, transparent, rgba(${HEAT}, ${OPAQUE / 255})), #777`;
      return bar;
    };
    const choice = (id, text) => {
      const box = element("input", { type: "checkbox", id });
      box.addEventListener("change", () => look(box.checked ? id : null));
      return element("label", {}, box, text);
    };
    const made = element("div", { class: "heat" }, choice("heat", " heat maps: where in the image it is"));
    if (dominant) made.append(choice("eigencam", " Eigen-CAM: what dominates the layer there, the same for every concept"));
    made.append(element("span", { class: "key", "data-view": "heat", id: "legend" }, "code at the position: 0 ", ramp(), " ", report.number(strongest)));
    if (dominant) {
      made.append(element("span", { class: "key", "data-view": "eigencam" },
        "along the first principal component of the image's activations: 0 ", ramp(), " largest of each image"));
    }
    return made;
  }

  function look(name) {
    view = document.getElementById(name) ? name : null;
    page.classList.toggle("hot", view !== null);
    document.querySelectorAll(".heatmap, [data-view=heat]").forEach(node => { node.hidden = view !== "heat"; });
    document.querySelectorAll(".eigencam, [data-view=eigencam]").forEach(node => { node.hidden = view !== "eigencam"; });
    document.querySelectorAll(".heat input").forEach(box => { box.checked = box.id === view; });
  }

  function curves(data) {
    const made = [];
    const line = name => ({ values: data[name], errors: data[`${name}_se`] });
    if (data.taps) made.push(charts.curves("How well it can be read from each layer", "V-information", report.taps, { "V-information": line("taps") }));
    if (data.epochs) made.push(charts.curves("... and from the last layer after each epoch", "V-information", report.epochs.map(String), { "V-information": line("epochs") }));
    if (data.main) made.push(charts.curves("What the branches of each block carry of it", "CKA", report.blocks, { shortcut: line("shortcut"), "main branch": line("main") }));
    return section("Where and when it is there", element("div", { class: "charts" }, ...made));
  }

  function classes({ classes }) {
    if (!classes?.length) return null;
    const largest = classes[0][1];
    const bars = classes.map(([number, value]) => {
      const bar = element("span", { class: "bar" });
      bar.style.width = `${50 * value / largest}%`;
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
    return element("section", {}, element("details", {}, element("summary", {}, element("h2", {}, "All numbers")),
      element("div", { class: "wide" }, element("table", { id: "values" }, element("tbody", {}, ...rows)))));
  }

  addEventListener("hashchange", show);
  addEventListener("keydown", event => {
    if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey || event.target.closest("input, select, .wide")) return;
    const over = { h: "heat", e: "eigencam" }[event.key];
    if (over) look(over === view ? null : over);
    const id = { ArrowLeft: "previous", ArrowRight: "next" }[event.key];
    if (id) document.getElementById(id).click();
  });
  show();
})();
