// Tables that are sorted by their headings, and the paired comparison.

function sortBy(table, column) {
  const heads = [...table.tHead.rows[0].cells];
  const descending = heads[column].getAttribute("aria-sort") === "ascending";
  heads.forEach((head, i) => {
    if (i === column) head.setAttribute("aria-sort", descending ? "descending" : "ascending");
    else head.removeAttribute("aria-sort");
  });
  const rows = [...table.tBodies[0].rows];
  const sign = descending ? -1 : 1;
  rows.sort((a, b) => {
    const [x, y] = [a, b].map((row) => row.cells[column]);
    if (column === 0) return sign * x.textContent.localeCompare(y.textContent, undefined, { numeric: true });
    const [u, v] = [x, y].map((cell) => ("value" in cell.dataset ? Number(cell.dataset.value) : NaN));
    if (Number.isNaN(u) || Number.isNaN(v)) return Number.isNaN(u) - Number.isNaN(v); // what is missing: last
    return sign * (u - v);
  });
  table.tBodies[0].append(...rows);
}

function makeSortable(table) {
  table.querySelectorAll("button.sort").forEach((button, column) => {
    button.addEventListener("click", () => sortBy(table, column));
  });
}

// --- Paired comparison ---------------------------------------------------------------------------------------------

function differenceCell(found, digits) {
  if (!found) return element("td", { class: "none" }, "no pairs");
  const [mean, low, high, n, verdict] = found;
  const cell = element("td", { "data-value": mean }, element("b", {}, fixed(mean, digits, true)));
  if (verdict) cell.append(" ", element("span", { class: verdict }, verdict));
  cell.append(element("small", {}, `${fixed(low, digits, true)} to ${fixed(high, digits, true)}, n = ${n}`));
  return cell;
}

function drawPairs(table, baseline) {
  const button = (text) => element("button", { type: "button", class: "sort" }, element("span", {}, text));
  const sort = (text) => element("th", { scope: "col" }, button(text));
  const cells = (row) => figures.metrics.map((m) => differenceCell(row[m.key], m.digits));
  const head = element("tr", {}, sort("System minus baseline"), ...figures.metrics.map((m) => sort(m.heading)));
  const rows = Object.entries(figures.pairs[baseline]).map(([name, row]) =>
    element("tr", {}, element("th", { scope: "row" }, name), ...cells(row)));
  table.replaceChildren(element("thead", {}, head), element("tbody", {}, ...rows));
  makeSortable(table);
}
