// Sorting. Without it every table still stands in the net's order; with it each heading of a sortable table becomes a
// button: one press sorts upwards, the next downwards, the third gives the first order back.
"use strict";
(() => {
  const said = document.getElementById("said");
  const order = { none: "ascending", ascending: "descending", descending: "none" };
  const spoken = { none: "in the first order", ascending: "sorted upwards", descending: "sorted downwards" };

  // The column that a heading stands over, whatever spans others.
  function columns(table) {
    const taken = [];
    const found = new Map();
    [...table.tHead.rows].forEach((row, down) => {
      let across = 0;
      for (const cell of row.cells) {
        while ((taken[down] ||= [])[across]) across += 1;
        found.set(cell, across);
        for (let y = down; y < down + cell.rowSpan; y += 1) {
          for (let x = across; x < across + cell.colSpan; x += 1) (taken[y] ||= [])[x] = true;
        }
        across += cell.colSpan;
      }
    });
    return found;
  }

  function key(row, column, numeric) {
    const cell = row.cells[column];
    const text = cell.dataset.key ?? cell.textContent.trim();
    if (!numeric) return text;
    return text === "" ? null : Number(text);
  }

  function compare(a, b) {
    if (typeof a === "string") return a.localeCompare(b, "en", { numeric: true });
    return a < b ? -1 : a > b ? 1 : 0;
  }

  function sort(table, first, heading, column, way) {
    const numeric = heading.dataset.sort === "number";
    const rows = first.map((row) => ({ row, key: key(row, column, numeric) }));
    if (way !== "none") {
      const sign = way === "ascending" ? 1 : -1;
      // What has no number stands last, either way.
      rows.sort((a, b) => (a.key === null) - (b.key === null) || (a.key === null ? 0 : sign * compare(a.key, b.key)));
    }
    table.tBodies[0].append(...rows.map((entry) => entry.row));
  }

  for (const table of document.querySelectorAll("table.sortable")) {
    const first = [...table.tBodies[0].rows];
    const headings = [...columns(table)].filter(([cell]) => cell.dataset.sort && cell.dataset.sort !== "none");
    for (const [heading, column] of headings) {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...heading.childNodes);
      heading.append(button);
      heading.setAttribute("aria-sort", "none");
      button.addEventListener("click", () => {
        const way = order[heading.getAttribute("aria-sort")];
        for (const [other] of headings) other.setAttribute("aria-sort", "none");
        heading.setAttribute("aria-sort", way);
        sort(table, first, heading, column, way);
        said.textContent = `${table.caption.textContent}: ${button.textContent}, ${spoken[way]}`;
      });
    }
  }
})();
