// The page in a notebook (anywidget's front-end module): shows what the kernel renders, and says what was clicked and who looks.
const LATE_MS = 5000;
const number = new Intl.NumberFormat("en", { maximumSignificantDigits: 4 });
const whole = new Intl.NumberFormat("en");

function isDark() {
  const jupyter = document.body.dataset.jpThemeLight;
  if (jupyter) return jupyter === "false";
  if (/vscode-(dark|light)/.test(document.body.className)) return document.body.classList.contains("vscode-dark");
  return matchMedia("(prefers-color-scheme: dark)").matches;
}

function parsed(html) {
  const made = document.createElement("template");
  made.innerHTML = html;
  return made.content;
}

function render({ model, el }) {
  const root = el.attachShadow ? el.attachShadow({ mode: "open" }) : el;
  const light = document.createElement("style"), dark = document.createElement("style"), page = document.createElement("div");
  light.textContent = model.get("styles");
  dark.textContent = model.get("dark");
  page.className = "page";
  page.setAttribute("role", "region");
  page.setAttribute("aria-label", "Live page of pangea jobs");
  root.append(light, dark, page);
  let shown = "", sources = new Map(), heard = performance.now();

  // Only what has changed is replaced, so that focus, selection and what is scrolled stay
  function show() {
    const html = model.get("html"), path = model.get("path");
    const made = parsed(html);
    const regions = [...made.querySelectorAll("section[id]")];
    const fits = path === shown && regions.length === sources.size && regions.every((each) => sources.has(each.id));
    if (!fits) {
      page.replaceChildren(made);
    } else {
      for (const region of regions) {
        if (sources.get(region.id) === region.outerHTML) continue;
        const focused = root.activeElement && root.activeElement.id;
        root.getElementById(region.id).replaceWith(parsed(region.outerHTML));
        if (focused && root.getElementById(focused)) root.getElementById(focused).focus();
      }
    }
    const again = parsed(html);
    sources = new Map([...again.querySelectorAll("section[id]")].map((each) => [each.id, each.outerHTML]));
    shown = path;
    fill();
    count();
  }

  function fill() {
    const parts = model.get("parts");
    for (const place of page.querySelectorAll(".loading[hx-get]")) {
      const part = parts[place.getAttribute("hx-get")];
      if (part === undefined || place.told === part) continue;
      place.told = part;
      place.innerHTML = part;
      place.dataset.state = "shown";
    }
  }

  function count() {
    const figures = model.get("figures");
    for (const place of page.querySelectorAll("[data-counter]")) {
      const value = figures[place.dataset.counter];
      const text = value === undefined ? "–" : Number.isInteger(value) ? whole.format(value) : number.format(value);
      if (place.textContent !== text) place.textContent = text;
    }
  }

  function fresh() {
    const place = page.querySelector(".freshness");
    if (!place) return;
    const lost = model.get("lost"), age = performance.now() - heard;
    const state = lost ? "disconnected" : model.get("is_over") ? "over" : age < LATE_MS ? "live" : "old";
    const words = { disconnected: "disconnected", over: "as of its end", live: "live", old: "late" };
    const signs = { disconnected: "✗", over: "✓", live: "●", old: "◔" };
    const fresh = place.querySelector(".fresh");
    if (fresh.textContent !== words[state]) {
      fresh.textContent = words[state];
      place.querySelector(".mark").textContent = signs[state];
      place.dataset.state = state;
    }
    const old = state === "live" || state === "over" ? "" : Math.round(age / 1000) + " s old";
    place.querySelector(".why").textContent = [old, lost].filter(Boolean).join(": ");
  }

  function theme() {
    const is = isDark();
    dark.disabled = !is;
    el.style.colorScheme = is ? "dark" : "light";
  }

  function click(event) {
    const link = event.target.closest("a[href]");
    if (!link) return;
    event.preventDefault();
    const href = link.getAttribute("href");
    if (href.startsWith("#")) return;
    const path = model.get("path").split("?")[0];
    model.set("path", href.startsWith("?") ? path + href : href);
    model.save_changes();
  }

  function look() {
    model.set("is_seen", !document.hidden);
    model.save_changes();
  }

  const heardOf = () => { heard = performance.now(); fresh(); };
  const listeners = [["change:html", show], ["change:parts", fill], ["change:figures", count], ["change:at", heardOf], ["change:lost", fresh]];
  for (const [name, listener] of listeners) model.on(name, listener);
  page.addEventListener("click", click);
  document.addEventListener("visibilitychange", look);
  const watching = new MutationObserver(theme);
  watching.observe(document.body, { attributes: true, attributeFilter: ["class", "data-jp-theme-light"] });
  const media = matchMedia("(prefers-color-scheme: dark)");
  media.addEventListener("change", theme);
  const timer = setInterval(fresh, 1000);
  theme();
  show();
  fresh();
  look();
  return () => {
    clearInterval(timer);
    watching.disconnect();
    media.removeEventListener("change", theme);
    document.removeEventListener("visibilitychange", look);
    for (const [name, listener] of listeners) model.off(name, listener);
  };
}

export default { render };
