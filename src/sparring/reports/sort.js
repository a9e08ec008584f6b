// A click on a heading sorts its table by that column, a second click the other way; without JavaScript nothing changes.
const valueOf = (row, place) => row.cells[place].textContent.trim().replaceAll("\u2212", "-").replaceAll(",", "");
const compare = (a, b) => {
  const [x, y] = [parseFloat(a), parseFloat(b)];
  if (isNaN(x) !== isNaN(y)) return isNaN(x) ? 1 : -1;
  return isNaN(x) ? a.localeCompare(b) : x - y;
};
const sort = (heading) => {
  const body = heading.closest("table").tBodies[0], place = heading.cellIndex;
  const falling = heading.ariaSort === "ascending";
  const rows = [...body.rows].sort((a, b) => compare(valueOf(a, place), valueOf(b, place)) * (falling ? -1 : 1));
  for (const other of heading.parentNode.cells) other.removeAttribute("aria-sort");
  heading.ariaSort = falling ? "descending" : "ascending";
  body.append(...rows);
};
for (const heading of document.querySelectorAll(".sortable thead th")) {
  heading.tabIndex = 0;
  heading.onclick = () => sort(heading);
  heading.onkeydown = (event) => event.key === "Enter" && sort(heading);
}
