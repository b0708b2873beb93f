"use strict";
// What both pages share: the data of all concepts, pieces of sheets, numbers. Text is set as text, never as markup.

const report = (() => {
  const bytes = text => Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
  const waiting = new Map();  // sheets that are being loaded
  const self = {};

  // data/concepts.js calls it with what is the same for all concepts, and the columns of the table.
  self.begin = data => {
    Object.assign(self, data);
    self.columns = Object.fromEntries(
      Object.entries(data.columns).map(([name, text]) => [name, new Float64Array(bytes(text).buffer)]));
    self.class = new Int32Array(bytes(data.class).buffer);
    self.alive = bytes(data.alive);
    self.errors = Object.fromEntries(
      Object.entries(data.errors).map(([name, text]) => [name, new Float64Array(bytes(text).buffer)]));
    self.curves = data.curves && bytes(data.curves);
  };

  // data/sheet_0003.js calls it with the concepts of the sheet.
  self.sheet = (number, concepts) => waiting.get(number).resolve(concepts);

  const padded = number => String(number).padStart(4, "0");

  // The data of one concept: a promise.
  self.load = concept => {
    const number = Math.floor(concept / self.size);
    if (!waiting.has(number)) {
      const entry = {};
      entry.promise = new Promise((resolve, reject) => Object.assign(entry, { resolve, reject }));
      waiting.set(number, entry);
      const script = document.createElement("script");
      script.src = `data/sheet_${padded(number)}.js`;
      script.onerror = () => entry.reject(new Error(`${script.src} is missing`));
      document.head.append(script);
    }
    return waiting.get(number).promise.then(concepts => concepts[concept % self.size]);
  };

  self.element = (tag, attributes = {}, ...children) => {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value !== undefined && value !== null) made.setAttribute(name, value);
    }
    made.append(...children);
    return made;
  };

  // One tile of a sheet, as an image of its own.
  const tile = (source, columns, rows, column, row, alt) => {
    const image = self.element("img", { src: source, alt, decoding: "async", draggable: "false" });
    Object.assign(image.style, {
      width: `${100 * columns}%`, height: `${100 * rows}%`, left: `${-100 * column}%`, top: `${-100 * row}%` });
    return self.element("span", { class: "tile" }, image);
  };

  self.thumbnail = (concept, alt = "") => {
    const place = concept % self.size, across = self.across;
    return tile(`images/thumbnails_${padded(Math.floor(concept / self.size))}.webp`,
      across, self.size / across, place % across, Math.floor(place / across), alt);
  };

  self.example = (concept, column, alt) =>
    tile(`images/examples_${padded(Math.floor(concept / self.size))}.webp`,
      self.captions.length, self.size, column, concept % self.size, alt);

  self.bytes = bytes;
  self.className = number => number < 0 ? "all" : self.classes[number] ?? String(number);
  self.name = concept => self.names?.[concept] ? `${concept}: ${self.names[concept]}` : `${concept}`;
  self.link = (concept, ...children) => self.element("a", { href: `concept.html#${concept}` }, ...children);

  self.rounded = (value, digits = 3) => {
    if (value === null || value === undefined || Number.isNaN(value)) return "–";
    if (Number.isInteger(value)) return String(value);
    const size = Math.abs(value);
    if (size < 1e-3 || size >= 1e6) return value.toExponential(digits - 1);
    return size < 999.5 ? value.toPrecision(digits) : value.toFixed(0);
  };

  // A rounded number that carries the whole one.
  self.number = value => self.element("data", { value: value ?? NaN, title: value ?? "not defined" }, self.rounded(value));

  return self;
})();
