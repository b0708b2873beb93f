"use strict";
// The figures in which every concept can be pointed at: hovering shows its thumbnail, a click opens it. Each is drawn when it
// comes into view; on paper, and without JavaScript, the still one stands in its place.

(() => {
  const { element, columns } = report;
  const MANY = 2000;  // points from which on the graphics card draws them, if there is one
  const BINS = 40, SHOWN = 20;  // bars of the histogram; parts of the axis with an example below each
  const MARGIN = { l: 56, r: 12, t: 8, b: 44 };
  const card = document.getElementById("card");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const style = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const living = [...report.alive.keys()].filter(concept => report.alive[concept]);
  const pick = (values, concepts = living) => concepts.map(concept => values[concept]);
  const webgl = (() => {
    try {
      return Boolean(document.createElement("canvas").getContext("webgl"));
    } catch {
      return false;
    }
  })();

  const axis = title => ({ title: { text: title }, gridcolor: style("--line"), zerolinecolor: style("--line"), automargin: false });

  function layout(x, y, more = {}) {
    return {
      margin: MARGIN, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", hovermode: "closest", dragmode: false,
      font: { color: style("--text"), family: "system-ui, sans-serif", size: 12 }, xaxis: { ...axis(x), ...more.x },
      yaxis: { ...axis(y), ...more.y }, showlegend: false, bargap: 0.06, uirevision: "kept",
    };
  }

  function points(x, y, colours, scale, bar) {
    return {
      type: living.length > MANY && webgl ? "scattergl" : "scatter", mode: "markers", x: pick(x), y: pick(y), customdata: living,
      hoverinfo: "none",
      marker: { size: living.length > MANY ? 4 : 7, opacity: 0.8, color: colours, colorscale: scale,
        colorbar: bar && { title: { text: bar, side: "right" }, thickness: 10, outlinewidth: 0 } },
    };
  }

  const classes = new Set(report.class).size;
  const byClass = () => pick(report.class).map(number => `hsl(${Math.round(360 * number / classes)} 65% ${dark.matches ? 65 : 45}%)`);
  const against = name => () => ({
    data: [points(columns.complexity, columns[name], style("--accent"))],
    layout: layout("complexity", report.labels[name], { x: { range: [0, 1] } }),
  });

  const figures = {
    complexity: () => ({
      data: [{ type: "histogram", x: pick(columns.complexity), xbins: { start: 0, end: 1, size: 1 / BINS },
        marker: { color: style("--accent") }, hovertemplate: "%{y} concepts, complexity %{x}<extra></extra>" }],
      layout: layout("complexity", "concepts", { x: { range: [0, 1] } }),
    }),
    complexity_importance: against("importance"),
    complexity_temporal: against("temporal"),
    map: plot => {
      const by = plot.previousElementSibling.querySelector("select").value;
      const hidden = { showticklabels: false, zeroline: false };
      const colours = by === "class" ? byClass() : pick(columns[by]);
      const mapped = points(columns.map_x, columns.map_y, colours, "Viridis", by === "class" ? undefined : report.labels[by]);
      return { data: [mapped], layout: layout("", "", { x: hidden, y: { ...hidden, scaleanchor: "x" } }) };
    },
  };
  const before = {
    map: plot => {
      const choices = ["complexity", "importance", "class"].filter(name => name === "class" || columns[name]);
      const select = element("select", {}, ...choices.map(name => element("option", {}, name)));
      select.addEventListener("change", () => draw(plot));
      plot.before(element("label", { class: "colour" }, "Colour: ", select));
    },
  };
  const after = { complexity: examples };

  // Below the histogram, concepts along the axis: the most important one of each part of the scale.
  function examples(plot) {
    const strip = element("div", { class: "strip" });
    strip.style.margin = `0 ${MARGIN.r}px 0 ${MARGIN.l}px`;
    for (let part = 0; part < SHOWN; part++) {
      const inside = living.filter(concept => Math.floor(SHOWN * columns.complexity[concept] * 0.999999) === part);
      if (!inside.length) continue;
      const worth = columns.importance ?? columns.complexity;
      const best = inside.reduce((one, other) => worth[other] > worth[one] ? other : one);
      const text = `Concept ${report.name(best)}, complexity ${report.rounded(columns.complexity[best])}`;
      const link = report.link(best, report.thumbnail(best, text));
      link.title = text;
      link.style.left = `${100 * (part + 0.5) / SHOWN}%`;
      strip.append(link);
    }
    plot.after(strip);
  }

  function draw(plot) {
    const { data, layout } = figures[plot.dataset.figure](plot);
    return Plotly.react(plot, data, layout, { displayModeBar: false, responsive: true });
  }

  async function start(plot) {
    const name = plot.dataset.figure, figure = plot.closest("figure");
    plot.hidden = false;
    figure.classList.add("live");
    plot.setAttribute("role", "img");
    plot.setAttribute("aria-label", `${figure.querySelector(".still").alt} The table below lists all concepts.`);
    before[name]?.(plot);
    await draw(plot);
    after[name]?.(plot);
    plot.on("plotly_hover", event => show(event));
    plot.on("plotly_unhover", () => { card.hidden = true; });
    plot.on("plotly_click", event => {
      const concept = event.points[0].customdata;
      if (Number.isInteger(concept)) location.href = `concept.html#${concept}`;
    });
    dark.addEventListener("change", () => draw(plot));
  }

  function show(event) {
    const concept = event.points[0].customdata;
    if (!Number.isInteger(concept)) return;
    const lines = ["complexity", "importance", "temporal"].filter(name => columns[name]).map(name =>
      element("div", {}, `${report.labels[name]} `, report.number(columns[name][concept])));
    const text = element("div", {}, element("strong", {}, `Concept ${report.name(concept)}`),
      element("div", {}, `class ${report.className(report.class[concept])}`), ...lines);
    card.replaceChildren(report.thumbnail(concept, ""), text);
    card.hidden = false;
    const box = card.getBoundingClientRect(), { clientX, clientY } = event.event;
    card.style.left = `${Math.max(4, Math.min(clientX + 16, innerWidth - box.width - 4))}px`;
    card.style.top = `${clientY + 16 + box.height > innerHeight ? clientY - box.height - 16 : clientY + 16}px`;
  }

  const seen = new IntersectionObserver(entries => {
    for (const entry of entries.filter(one => one.isIntersecting)) {
      seen.unobserve(entry.target);
      start(entry.target.querySelector(".plot"));
    }
  }, { rootMargin: "200px" });
  const needs = { complexity: [], complexity_importance: ["importance"], complexity_temporal: ["temporal"], map: ["map_x", "map_y"] };
  for (const plot of document.querySelectorAll(".plot")) {
    if (["complexity", ...needs[plot.dataset.figure]].every(name => columns[name])) seen.observe(plot.closest("figure"));
  }
})();
