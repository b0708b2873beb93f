"use strict";
// Concepts in figures can be pointed at: the nearest one is marked, its card shown; a click opens it. With the keyboard, left
// and right go from concept to concept along the axis, and Enter opens. Where the marks lie is known from their values.

(() => {
  const { element, columns } = report;
  const card = document.getElementById("card");
  const living = [...report.alive.keys()].filter(concept => report.alive[concept]);
  const byComplexity = [...living].sort((a, b) => columns.complexity[a] - columns.complexity[b] || a - b);
  const rank = new Float64Array(report.concepts).fill(NaN);
  byComplexity.forEach((concept, place) => { rank[concept] = place + 1; });
  const REACH = 24;  // pixels
  const PIN = 0.065;  // of a panel's width: an image on the map

  function start(panel) {
    const [x, y] = panel.dataset.axes.split(" ").map(name => name === "rank" ? rank : columns[name]);
    if (!x) return;
    const [left, top, right, bottom] = panel.dataset.box.split(" ").map(Number);
    const [x0, x1, y0, y1] = panel.dataset.limits.split(" ").map(Number);
    const title = panel.closest("figure").querySelector("h3").textContent;
    const here = element("span", { class: "here" });
    const order = living.filter(concept => !Number.isNaN(x[concept]) && !(y && Number.isNaN(y[concept])))
      .sort((a, b) => x[a] - x[b] || a - b);
    let shown = null;
    here.hidden = true;
    panel.append(here);
    panel.tabIndex = 0;
    panel.setAttribute("role", "group");
    panel.setAttribute("aria-label", `${title}: left and right arrow go from concept to concept, Enter opens one. The table below lists all.`);

    const across = concept => left + (right - left) * (x[concept] - x0) / (x1 - x0);
    const down = (concept, at) => y ? bottom - (bottom - top) * (y[concept] - y0) / (y1 - y0) : at;

    if (panel.matches("#figure-map .panel:first-child")) pin();

    // Images of concepts beside their marks, the most important ones first, as many as do not cover each other.
    function pin() {
      const { width, height } = panel.querySelector("svg").viewBox.baseVal;
      const corners = [];  // in widths of the panel
      for (const concept of [...order].sort((a, b) => columns.importance[b] - columns.importance[a] || a - b)) {
        const mark = [across(concept), down(concept) * height / width];
        const corner = mark.map((place, axis) =>
          place > [right, bottom * height / width][axis] - 1.2 * PIN ? place - 1.1 * PIN : place + 0.1 * PIN);
        if (corners.some(other => corner.every((place, axis) => Math.abs(place - other[axis]) < 1.4 * PIN))) continue;
        corners.push(corner);
        const image = report.thumbnail(concept, `Concept ${report.name(concept)}`);
        image.classList.add("pin");
        const [x, y] = corner;
        Object.assign(image.style, { width: `${100 * PIN}%`, left: `${100 * x}%`, top: `${100 * y * width / height}%` });
        panel.append(image);
      }
    }

    function show(concept, at = (top + bottom) / 2) {
      shown = concept;
      const box = panel.getBoundingClientRect();
      const place = [across(concept), down(concept, at)];
      here.style.left = `${100 * place[0]}%`;
      here.style.top = `${100 * place[1]}%`;
      here.hidden = false;
      report.showCard(card, concept, box.left + place[0] * box.width, box.top + place[1] * box.height);
    }

    function hide() {
      shown = null;
      here.hidden = card.hidden = true;
    }

    panel.addEventListener("pointermove", event => {
      const box = panel.getBoundingClientRect();
      const px = event.clientX - box.left, py = event.clientY - box.top;
      let nearest = null, least = REACH ** 2;
      for (const concept of order) {
        const dx = across(concept) * box.width - px, dy = y ? down(concept) * box.height - py : 0;
        const far = dx * dx + dy * dy;
        if (far < least) [nearest, least] = [concept, far];
      }
      const inside = py >= top * box.height && py <= bottom * box.height;
      if (nearest === null || !inside) hide();
      else show(nearest, py / box.height);
    });
    panel.addEventListener("pointerleave", hide);
    panel.addEventListener("blur", hide);
    panel.addEventListener("click", () => { if (shown !== null) open(shown); });
    panel.addEventListener("keydown", event => {
      if (event.key === "Enter" && shown !== null) return open(shown);
      if (event.key === "Escape") return hide();
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step || !order.length) return undefined;
      event.preventDefault();
      const place = shown === null ? (step > 0 ? -1 : order.length) : order.indexOf(shown);
      return show(order[Math.min(order.length - 1, Math.max(0, place + step))]);
    });
  }

  const open = concept => { location.href = `concept.html#${concept}`; };

  report.showCard = (card, concept, x, y) => {
    const lines = ["complexity", "importance", "temporal"].filter(name => columns[name]).map(name =>
      element("div", {}, `${report.labels[name]} `, report.number(columns[name][concept])));
    const text = element("div", {}, element("strong", {}, `Concept ${report.name(concept)}`),
      element("div", {}, `class ${report.className(report.class[concept])}`), ...lines);
    card.replaceChildren(report.thumbnail(concept, ""), text);
    card.hidden = false;
    const box = card.getBoundingClientRect();
    card.style.left = `${Math.max(4, Math.min(x + 16, innerWidth - box.width - 4))}px`;
    card.style.top = `${y + 16 + box.height > innerHeight ? y - box.height - 16 : y + 16}px`;
  };

  document.querySelectorAll(".panel[data-axes]").forEach(start);
})();
