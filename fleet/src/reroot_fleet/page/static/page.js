// Ask for the page's main part again when the fleet says that something happened. Without this
// script the page reloads itself by a meta refresh, which is in <noscript>.
"use strict";
(() => {
  const main = document.querySelector("main[data-live]");
  if (!main || !window.EventSource) return;
  const light = document.querySelector("#live");
  let busy = false;
  const again = async () => {
    // Whoever is writing a reason is not interrupted.
    if (busy || main.contains(document.activeElement) && document.activeElement.matches("input")) return;
    busy = true;
    try {
      const answer = await fetch(location.href, { headers: { "x-part": "main" } });
      if (answer.redirected) { location.reload(); return; }
      if (!answer.ok) return;
      const open = new Set([...main.querySelectorAll("details[open][id]")].map((d) => d.id));
      const shut = new Set([...main.querySelectorAll("details:not([open])[id]")].map((d) => d.id));
      main.innerHTML = await answer.text();
      main.querySelectorAll("details[id]").forEach((d) => {
        if (open.has(d.id)) d.open = true;
        if (shut.has(d.id)) d.open = false;
      });
    } finally { busy = false; }
  };
  const events = new EventSource(`/live?last=${main.dataset.live}`);
  events.addEventListener("changed", again);
  events.onopen = () => { light.textContent = "live"; light.className = "good"; };
  events.onerror = () => { light.textContent = "not live"; light.className = "bad"; };
})();
