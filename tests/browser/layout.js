// What is wrong with the layout of the page: boxes that overlap their siblings, or that are cut off. [] when nothing is.
() => {
  const wrong = [];
  const name = (e) => `${e.tagName.toLowerCase()}${e.id ? "#" + e.id : ""}.${e.className} "${e.textContent.trim().slice(0, 30)}"`;
  const seen = (e) => e.checkVisibility() && e.getClientRects().length > 0 && !e.closest("svg svg, path, rect, head");
  const boxes = (e) => Array.from(e.getClientRects()).filter((r) => r.width > 1 && r.height > 1);
  const cross = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1.5
    && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1.5;
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth > width) wrong.push(`page is ${document.documentElement.scrollWidth} wide, not ${width}`);
  for (const e of document.body.querySelectorAll("*")) {
    if (!seen(e) || e.closest("svg") && e.tagName !== "svg") continue;
    for (const r of boxes(e)) {
      if (r.left < -1 || r.right > width + 1) wrong.push(`outside the page: ${name(e)}`);
    }
    if (e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 0 && getComputedStyle(e).display !== "inline" && e.tagName !== "INPUT" && e.tagName !== "SELECT")
      wrong.push(`cut off: ${name(e)} ${e.scrollWidth} > ${e.clientWidth}`);
    const children = Array.from(e.children).filter((c) => seen(c) && c.tagName !== "OPTION");
    children.forEach((a, i) => children.slice(i + 1).forEach((b) => {
      if (boxes(a).some((x) => boxes(b).some((y) => cross(x, y)))) wrong.push(`overlap: ${name(a)} and ${name(b)}`);
    }));
  }
  return wrong.slice(0, 10);
}
