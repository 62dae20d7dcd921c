// Sorts the leaderboard by the column whose head is pressed: numbers from large to small first, words from A to Z.
document.addEventListener("click", event => {
  const button = event.target.closest(".leaderboard th button");
  if (!button) return;
  const head = button.parentElement, column = head.cellIndex, body = head.closest("table").tBodies[0];
  const value = row => row.cells[column].dataset.value, rows = [...body.rows];
  const numbers = rows.every(row => value(row) === "" || !isNaN(value(row)));
  const before = head.getAttribute("aria-sort");
  const order = before === null ? (numbers ? "descending" : "ascending") : before === "ascending" ? "descending" : "ascending";
  for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", order);
  const sign = order === "ascending" ? 1 : -1;
  rows.sort((a, b) => {
    const [one, other] = [value(a), value(b)];
    if (one === "" || other === "") return (one === "") - (other === "");
    return sign * (numbers ? one - other : one.localeCompare(other));
  });
  body.append(...rows);
});
