"use strict";
// The list of concepts: which are shown, in which order, as a gallery or as a table. What has been chosen stands in the address,
// so that Back, a bookmark and a link show it again. Only the lines in view are there: ten thousand are as quick as ten.

(() => {
  const { element } = report;
  const find = id => document.getElementById(id);
  const scroll = find("scroll"), form = document.querySelector("form.filters"), empty = find("empty");
  const MORE = 6, MOST = 200;  // lines beyond the view; items on paper
  const views = { gallery, table };
  const value = {  // what a column sorts by
    concept: concept => concept,
    class: concept => report.class[concept],
    ...Object.fromEntries(Object.keys(report.columns).map(name => [name, concept => report.columns[name][concept]])),
  };
  const labels = Object.fromEntries(Object.entries({ concept: "number", class: "class", ...report.labels }).filter(([, label]) => label));
  let rows = [], active = 0, view = "gallery", key = "complexity", falling = false;

  [...new Set(report.class)].sort((a, b) => a - b).forEach(number =>
    find("filter-class").append(element("option", { value: number }, report.className(number))));
  for (const [name, label] of Object.entries(labels)) find("sort").append(element("option", { value: name }, label));

  // --- what is chosen, in the address ---

  function read() {
    const chosen = new URLSearchParams(location.search), sort = chosen.get("sort") ?? "complexity";
    for (const field of form.elements) if (field.name) field.value = chosen.get(field.name) ?? "";
    view = chosen.get("view") in views ? chosen.get("view") : "gallery";
    falling = sort.startsWith("-");
    key = sort.slice(Number(falling)) in labels ? sort.slice(Number(falling)) : "complexity";
  }

  function write() {
    const chosen = new URLSearchParams([...new FormData(form)].filter(([, text]) => text !== ""));
    if (view !== "gallery") chosen.set("view", view);
    if (key !== "complexity" || falling) chosen.set("sort", `${falling ? "-" : ""}${key}`);
    const address = new URL(location.href);
    address.search = chosen;
    history.replaceState({ top: scroll.scrollTop, active }, "", address);
  }

  // --- which concepts, in which order ---

  const limits = name => [["low", -Infinity], ["high", Infinity]].map(([end, none]) => {
    const field = form.elements[`${name}-${end}`];
    return field.value === "" || Number.isNaN(field.valueAsNumber) ? none : field.valueAsNumber;
  });

  const inside = (number, low, high) => (low === -Infinity && high === Infinity) || (number >= low && number <= high);

  // A number finds the concept of this number, other words what has them in the name of the concept or of its class.
  function matches(concept, text) {
    if (text === "") return true;
    if (/^\d+$/.test(text) && Number(text) === concept) return true;
    return (report.names?.[concept].toLowerCase().includes(text) ?? false) || report.className(report.class[concept]).toLowerCase().includes(text);
  }

  function choose() {
    const wanted = form.elements.class.value, text = form.elements.find.value.trim().toLowerCase();
    const ranges = ["complexity", "importance"].filter(name => value[name]).map(name => [name, ...limits(name)]);
    rows = [];
    for (let concept = 0; concept < report.concepts; concept++) {
      if (wanted !== "" && report.class[concept] !== Number(wanted)) continue;
      if (matches(concept, text) && ranges.every(([name, low, high]) => inside(value[name](concept), low, high))) rows.push(concept);
    }
    const of = value[key], sign = falling ? -1 : 1;
    rows.sort((a, b) => {
      const one = of(a), other = of(b);
      if (Number.isNaN(one) || Number.isNaN(other)) return Number.isNaN(one) - Number.isNaN(other) || a - b;  // at the end
      return sign * (one - other) || a - b;
    });
  }

  function update(top = 0, place = 0) {
    choose();
    for (const [name, each] of Object.entries(views)) {
      each.box.hidden = name !== view || rows.length === 0;
      each.mark(key, falling, rows.length);
    }
    for (const button of document.querySelectorAll("[data-view]")) button.setAttribute("aria-pressed", button.dataset.view === view);
    empty.hidden = rows.length > 0;
    find("sort").value = key;
    find("direction").textContent = falling ? "↓ falling" : "↑ rising";
    find("csv").disabled = rows.length === 0;
    find("count").value = rows.length === report.concepts ? `${rows.length} concepts` : `${rows.length} of ${report.concepts} concepts`;
    active = Math.min(place, Math.max(0, rows.length - 1));
    draw(top);
    scroll.scrollTop = top;
    draw();
    write();
  }

  function sortBy(name, other) {
    falling = other;
    key = name;
    update();
  }

  // --- what is drawn ---

  function draw(top = scroll.scrollTop) {
    const shown = views[view], across = shown.across(), lines = Math.ceil(rows.length / across);
    const from = Math.max(0, Math.min(lines - 1, Math.floor(top / shown.height)) - MORE);
    const to = Math.min(lines, Math.ceil((top + scroll.clientHeight) / shown.height) + MORE, from + Math.ceil(MOST / across));
    const first = from * across, last = Math.min(rows.length, to * across);
    const focused = shown.items.contains(document.activeElement);
    active = Math.max(first, Math.min(active, last - 1));  // what the Tab key reaches has to be there
    const made = [];
    for (let place = first; place < last; place++) {
      const item = shown.item(rows[place], place, rows.length);
      item.querySelector("a").tabIndex = place === active ? 0 : -1;
      made.push(item);
    }
    if (from > 0) made.unshift(shown.space(from));
    if (to < lines) made.push(shown.space(lines - to));
    shown.items.replaceChildren(...made);
    if (focused) focus();
  }

  function focus() {
    views[view].items.querySelector("a[tabindex='0']")?.focus({ preventScroll: true });
  }

  // --- what people do ---

  function move(event) {
    const shown = views[view], across = shown.across();
    const page = across * Math.max(1, Math.floor(scroll.clientHeight / shown.height) - 1);
    const step = { ArrowDown: across, ArrowUp: -across, PageDown: page, PageUp: -page, Home: -rows.length, End: rows.length,
      ...view === "gallery" && { ArrowRight: 1, ArrowLeft: -1 } }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    active = Math.min(rows.length - 1, Math.max(0, active + step));
    const top = Math.floor(active / across) * shown.height, high = scroll.clientHeight - shown.header;
    if (top < scroll.scrollTop) scroll.scrollTop = top;
    if (top + shown.height > scroll.scrollTop + high) scroll.scrollTop = top + shown.height - high;
    draw();
    focus();
  }

  // The rows in view as a file: all numbers as they are, empty where there is none.
  function save() {
    const names = Object.keys(labels).filter(name => !["concept", "class"].includes(name));
    const quoted = text => `"${text.replaceAll('"', '""')}"`, number = one => Number.isFinite(one) ? String(one) : "";
    const head = ["concept", ...report.names ? ["name"] : [], "class", ...names.flatMap(name => report.errors[name] ? [name, `${name}_se`] : [name])];
    const lines = rows.map(concept => [concept, ...report.names ? [quoted(report.names[concept])] : [], quoted(report.className(report.class[concept])),
      ...names.flatMap(name => [report.columns[name], report.errors[name]].filter(Boolean).map(values => number(values[concept])))]);
    const text = [head, ...lines].map(line => line.join(",")).join("\n");
    const link = element("a", { href: URL.createObjectURL(new Blob([`${text}\n`], { type: "text/csv" })), download: "concepts.csv" });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href));
  }

  for (const shown of Object.values(views)) {
    shown.items.addEventListener("keydown", move);
    shown.items.addEventListener("click", event => {
      const item = event.target.closest("[data-concept]");
      if (item && !event.target.closest("a")) location.href = `concept.html#${item.dataset.concept}`;
    });
  }
  document.querySelectorAll("[data-view]").forEach(button => button.addEventListener("click", () => {
    view = button.dataset.view;
    update();
  }));
  table.onSort(name => sortBy(name, key === name ? !falling : !["concept", "class"].includes(name)));
  find("sort").addEventListener("change", event => sortBy(event.target.value, falling));
  find("direction").addEventListener("click", () => sortBy(key, !falling));
  find("csv").addEventListener("click", save);
  scroll.addEventListener("scroll", () => requestAnimationFrame(() => draw()), { passive: true });
  form.addEventListener("input", () => update());
  form.addEventListener("submit", event => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(update));
  empty.querySelector("button").addEventListener("click", () => form.reset());
  addEventListener("pagehide", write);
  read();
  update(history.state?.top, history.state?.active);
  new ResizeObserver(() => draw()).observe(scroll);
})();
