"use strict";
// The table of concepts. Only the rows in view are there, so that ten thousand are as quick as ten.

(() => {
  const { element } = report;
  const find = id => document.getElementById(id);
  const scroll = find("scroll"), form = document.querySelector(".filters");
  const head = document.querySelector("#table thead tr"), body = document.querySelector("#table tbody");
  const HEIGHT = 56, MORE = 8, MOST = 200;  // pixels of a row, as in report.css; rows beyond the view; rows on paper
  const value = {  // what a column sorts by
    concept: concept => concept,
    class: concept => report.class[concept],
    ...Object.fromEntries(Object.keys(report.columns).map(name => [name, concept => report.columns[name][concept]])),
  };
  const labels = { concept: "concept", class: "class", ...report.labels };
  const shown = Object.keys(labels).filter(name => labels[name]);
  let rows = [], key = "concept", falling = false, active = 0;

  for (const name of shown) {
    const button = element("button", { type: "button" }, labels[name]);
    button.addEventListener("click", () => {
      falling = key === name ? !falling : name !== "concept" && name !== "class";
      key = name;
      update();
    });
    const title = report.descriptions[name];
    head.append(element("th", { scope: "col", "data-column": name, title }, button));
  }
  [...new Set(report.class)].sort((a, b) => a - b).forEach(number =>
    find("filter-class").append(element("option", { value: number }, report.className(number))));

  const limits = name => [["low", -Infinity], ["high", Infinity]].map(([end, none]) => {
    const field = find(`${name}-${end}`);
    return field.value === "" ? none : field.valueAsNumber;
  });

  function update() {
    const wanted = find("filter-class").value;
    const ranges = ["complexity", "importance"].filter(name => value[name]).map(name => [name, ...limits(name)]);
    rows = [];
    for (let concept = 0; concept < report.concepts; concept++) {
      if (wanted !== "" && report.class[concept] !== Number(wanted)) continue;
      if (ranges.every(([name, low, high]) => inside(value[name](concept), low, high))) rows.push(concept);
    }
    const of = value[key], sign = falling ? -1 : 1;
    rows.sort((a, b) => {
      const one = of(a), other = of(b);
      if (Number.isNaN(one) || Number.isNaN(other)) return Number.isNaN(one) - Number.isNaN(other) || a - b;  // at the end
      return sign * (one - other) || a - b;
    });
    for (const cell of head.children) {
      const sorted = cell.dataset.column === key;
      cell.setAttribute("aria-sort", sorted ? (falling ? "descending" : "ascending") : "none");
    }
    find("count").value = rows.length === report.concepts ? `${rows.length} concepts` : `${rows.length} of ${report.concepts} concepts`;
    find("table").setAttribute("aria-rowcount", rows.length + 1);
    scroll.scrollTop = 0;
    active = 0;
    draw();
  }

  const inside = (number, low, high) => (low === -Infinity && high === Infinity) || (number >= low && number <= high);

  function draw() {
    const first = Math.max(0, Math.floor(scroll.scrollTop / HEIGHT) - MORE);
    const last = Math.min(rows.length, Math.ceil((scroll.scrollTop + scroll.clientHeight) / HEIGHT) + MORE, first + MOST);
    const focused = body.contains(document.activeElement);
    active = Math.max(first, Math.min(active, last - 1));  // the row that the Tab key reaches has to be there
    const made = [space(first)];
    for (let place = first; place < last; place++) made.push(line(place));
    made.push(space(rows.length - last));
    body.replaceChildren(...made);
    if (focused) focus();
  }

  function space(count) {
    const made = element("tr", { class: "space", "aria-hidden": "true" }, element("td", { colspan: shown.length }));
    made.style.height = `${count * HEIGHT}px`;
    made.hidden = count === 0;
    return made;
  }

  function line(place) {
    const concept = rows[place], link = report.link(concept);
    const alt = `Concept ${report.name(concept)}: ${report.alive[concept] ? "the image that activates it most" : "dead"}`;
    link.append(report.thumbnail(concept, alt), report.name(concept));
    link.tabIndex = place === active ? 0 : -1;
    const cells = shown.map(name => {
      if (name === "concept") return element("th", { scope: "row" }, link);
      const content = name === "class" ? report.className(report.class[concept]) : report.number(report.columns[name][concept]);
      return element("td", { "data-column": name }, content);
    });
    const made = element("tr", { "aria-rowindex": place + 2, "data-concept": concept }, ...cells);
    if (!report.alive[concept]) made.classList.add("dead");
    return made;
  }

  function focus() {
    body.querySelector(`[aria-rowindex="${active + 2}"] a`)?.focus({ preventScroll: true });
  }

  body.addEventListener("click", event => {
    const row = event.target.closest("tr[data-concept]");
    if (row && !event.target.closest("a")) location.href = `concept.html#${row.dataset.concept}`;
  });
  body.addEventListener("keydown", event => {
    const page = Math.max(1, Math.floor(scroll.clientHeight / HEIGHT) - 2);
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -rows.length, End: rows.length }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    active = Math.min(rows.length - 1, Math.max(0, active + step));
    const top = active * HEIGHT, high = scroll.clientHeight - head.offsetHeight;
    if (top < scroll.scrollTop) scroll.scrollTop = top;
    if (top + HEIGHT > scroll.scrollTop + high) scroll.scrollTop = top + HEIGHT - high;
    draw();
    focus();
  });
  scroll.addEventListener("scroll", () => requestAnimationFrame(draw), { passive: true });
  new ResizeObserver(draw).observe(scroll);
  form.addEventListener("input", update);
  form.addEventListener("submit", event => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(update));
  update();
})();
