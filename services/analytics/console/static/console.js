// Keeps the live page moving: the server says, once a second, what every element shows.
"use strict";

const put = {
  text: (element, value) => { if (element.textContent !== value) element.textContent = value; },
  path: (element, value) => element.setAttribute("d", value),
  level: (element, value) => { element.dataset.level = value; },
  html: (element, value) => {
    const held = element.querySelector("details[open]") !== null;
    element.parentElement.classList.toggle("held", held);
    if (held || element.shown === value) return;
    const before = new Set(Array.from(element.querySelectorAll("li[id]"), (row) => row.id));
    element.innerHTML = element.shown = value; // escaped by the server's templates
    const fresh = Array.from(element.querySelectorAll("li[id]")).filter((row) => !before.has(row.id));
    if (before.size && fresh.length < before.size / 2) fresh.forEach((row) => row.classList.add("new"));
  },
};

function show(beat) {
  for (const [kind, values] of Object.entries(beat)) {
    for (const [id, value] of Object.entries(values)) {
      const element = document.getElementById(id);
      if (element) put[kind](element, value);
    }
  }
}

const pulse = document.getElementById("pulse");
if (pulse) {
  const events = new EventSource(pulse.dataset.events);
  events.onmessage = (event) => { pulse.dataset.state = "on"; show(JSON.parse(event.data)); };
  events.onerror = () => { pulse.dataset.state = "off"; };
  events.addEventListener("away", events.onerror);
  document.addEventListener("visibilitychange", () => { if (!document.hidden && events.readyState === 2) location.reload(); });
}
