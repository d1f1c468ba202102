"use strict";
(function () {
  const PAGE = 30;
  const data = JSON.parse(document.getElementById("rows-data").textContent);
  const list = document.getElementById("rows-list");
  if (!list) return;
  const search = document.getElementById("search");
  const filter = document.getElementById("filter");
  const order = document.getElementById("order");
  const count = document.getElementById("count");
  const more = document.getElementById("more");
  let found = [];
  let nShown = 0;

  // Every text goes into the page as text: no markup is ever parsed here.
  function add(parent, name, text, className) {
    const element = document.createElement(name);
    if (text !== undefined) element.textContent = text;
    if (className) element.className = className;
    parent.appendChild(element);
    return element;
  }
  function percent(score) {
    return typeof score === "number" ? score.toFixed(2) : "–";
  }
  function shade(score) {
    return "s" + Math.max(0, Math.min(4, Math.floor((score || 0) * 5)));
  }
  function colors(number, score) {
    return "k" + data.keys[number].color + " " + shade(score);
  }
  function words(row) {
    const text = row.pieces ? row.pieces.map((piece) => piece[0]).join("") : "";
    const spans = row.spans.map((span) => span[1]).join("\n");
    const labels = row.labels.map((label) => label[2] || "").join("\n");
    const fields = row.fields.map((field) => field.join(" ")).join("\n");
    return [row.id, text, spans, labels, fields].join("\n").toLowerCase();
  }
  function least(row) {
    const scores = row.spans.map((span) => span[2]).concat(row.labels.map((label) => label[1]));
    return Math.min(1, ...scores.filter((score) => typeof score === "number"));
  }
  function has(row, number) {
    return row.spans.some((span) => span[0] === number) || row.labels.some((label) => label[0] === number);
  }

  function showLabels(card, row) {
    for (const [number, score, about, value] of row.labels) {
      const chip = add(card, "span", undefined, "chip " + colors(number, score));
      add(chip, "bdi", data.keys[number].id + (about === undefined ? "" : value ? ": " + about : ": not " + about));
      add(chip, "span", percent(score), "score");
    }
  }
  function showText(card, row) {
    const text = add(card, "p", undefined, "text");
    text.dir = "auto";
    for (const [words, marks] of row.pieces) {
      if (!marks.length) {
        text.appendChild(document.createTextNode(words));
        continue;
      }
      const best = marks.reduce((one, other) => (other[1] > one[1] ? other : one));
      const mark = add(text, "mark", words, colors(best[0], best[1]));
      mark.title = marks.map((one) => data.keys[one[0]].id + " " + percent(one[1])).join(", ");
    }
    if (row.cut) add(text, "span", " … and " + row.cut.toLocaleString("en") + " characters more", "muted");
  }
  function showSpans(card, row) {
    const line = add(card, "p", undefined, "spans");
    for (const [number, words, score, about] of row.spans) {
      const mark = add(line, "mark", undefined, colors(number, score));
      add(mark, "bdi", words);
      mark.title = data.keys[number].id + " " + percent(score) + (about === undefined ? "" : ", of " + about);
      line.appendChild(document.createTextNode(" "));
    }
  }
  function showRow(row) {
    const card = add(list, "li", undefined, "row");
    const head = add(card, "div", undefined, "head");
    add(head, "bdi", row.id, "id");
    showLabels(head, row);
    if (row.pieces) showText(card, row);
    if (row.spans.length && (!row.pieces || row.cut)) showSpans(card, row);
    if (row.fields.length) {
      const line = add(card, "p", undefined, "muted small");
      for (const [name, value] of row.fields) add(line, "bdi", name + ": " + value, "field");
    }
  }
  function showMore() {
    for (const row of found.slice(nShown, nShown + PAGE)) showRow(row);
    nShown = Math.min(found.length, nShown + PAGE);
    more.hidden = nShown >= found.length;
    count.textContent = found.length.toLocaleString("en") + " of " + data.rows.length.toLocaleString("en") + " rows";
  }
  function update() {
    const wanted = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const key = filter.value === "" ? null : Number(filter.value);
    found = data.rows.filter(
      (row, place) => wanted.every((word) => texts[place].includes(word)) && (key === null || has(row, key))
    );
    if (order.value !== "corpus") {
      const sign = order.value === "least" ? 1 : -1;
      found.sort((one, other) => sign * (least(one) - least(other)));
    }
    list.replaceChildren();
    nShown = 0;
    showMore();
  }

  const texts = data.rows.map(words);
  data.keys.forEach((key, number) => {
    if (data.rows.some((row) => has(row, number))) add(filter, "option", key.id).value = String(number);
  });
  for (const element of [search, filter, order]) element.addEventListener("input", update);
  more.addEventListener("click", showMore);
  document.getElementById("controls").hidden = false;
  update();
})();
