/* Browser tracker, MIT licence: <script defer src="http://localhost:3000/tracker.js"></script>
   data-endpoint (default: the script's), data-key, data-no-clicks, data-respect-dnt (also GPC). */
(() => {
  "use strict";
  const script = document.currentScript, options = script.dataset;
  const target = (options.endpoint || new URL(script.src).origin).replace(/\/$/, "") + "/events" + (options.key ? "?write_key=" + encodeURIComponent(options.key) : "");
  const PREFIX = "clickstream:", EVENT = PREFIX + "event:", SESSION_MS = 30 * 60e3, MAX_WAITING = 1e3, MAX_BYTES = 50e3;
  const waiting = new Map(), always = {};
  let flying = [], failures = 0, timer, lastPage;

  const storage = (action, key, value) => {
    try { return localStorage[action](PREFIX + key, value); } catch { return null; }
  };
  const off = storage("getItem", "ignore") || ("respectDnt" in options && (navigator.doNotTrack === "1" || navigator.globalPrivacyControl));
  const memory = {};
  const recall = (key) => memory[key] || storage("getItem", key);
  const remember = (key, value) => { memory[key] = storage("setItem", key, value) === null && value; return value; };
  const newId = () => {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  };
  const sessionId = (now) => {
    const [id, last] = (recall("session") || "").split(" ");
    const current = id && now - last < SESSION_MS ? id : newId();
    remember("session", current + " " + now);
    return current;
  };

  const agent = navigator.maxTouchPoints > 1 ? navigator.userAgent.replace("Macintosh", "iPad") : navigator.userAgent;
  const first = (patterns) => Object.keys(patterns).find((name) => patterns[name].test(agent));
  const device = first({ tablet: /iPad|Tablet|Android(?!.*Mobile)/, mobile: /Mobi|iPhone|iPod/ }) || "desktop";
  const browser = first({
    Edge: /Edg(e|A|iOS)?\//, Opera: /OP[RTX]\/|Opera/, "Samsung Internet": /SamsungBrowser\//,
    Firefox: /(Firefox|FxiOS)\//, Chrome: /(Chrome|CriOS|Chromium)\//, Safari: /Safari\//,
  });
  const os = first({
    iOS: /iPhone|iPad|iPod/, Android: /Android/, Windows: /Windows/, "Chrome OS": /CrOS/, macOS: /Mac OS X|Macintosh/, Linux: /Linux/,
  });

  const track = (type, properties = {}) => {
    if (off) return;
    const event = { event_id: newId(), event_type: type, anonymous_id: recall("device") || remember("device", newId()) };
    const user = recall("user");
    if (user) event.user_id = user;
    event.session_id = sessionId(Date.now());
    event.timestamp = new Date().toISOString();
    event.properties = { page: location.pathname, device, browser, os, locale: navigator.language, ...always, ...properties };
    let json;
    try { json = JSON.stringify(event); } catch (fault) { return console.warn("clickstream: " + type, fault); }
    if (waiting.size >= MAX_WAITING) forget(waiting.keys().next().value);
    waiting.set(event.event_id, json);
    storage("setItem", "event:" + event.event_id, json);
    schedule(200);
  };
  const forget = (id) => { waiting.delete(id); storage("removeItem", "event:" + id); };
  const adopt = () => {
    try {
      for (const key of Object.keys(localStorage)) if (key.startsWith(EVENT)) {
        const id = key.slice(EVENT.length), json = localStorage[key];
        try { JSON.parse(json).event_id.trim(); if (!waiting.has(id)) waiting.set(id, json); } catch { forget(id); }
      }
    } catch {}
  };
  const batch = () => {
    const ids = [], records = [];
    let size = 0;
    for (const [id, json] of waiting) {
      if (flying.includes(id)) continue;
      size += new Blob([json]).size + 1;
      if (ids.length && size > MAX_BYTES) break;
      ids.push(id); records.push(json);
    }
    return { ids, body: `{"records":[${records}]}` };
  };
  const schedule = (ms) => { if (!timer) timer = setTimeout(flush, ms); };

  const flush = async () => {
    clearTimeout(timer); timer = 0;
    if (flying.length || !waiting.size) return;
    const { ids, body } = batch();
    let status = 0;
    flying = ids;
    try {
      const signal = AbortSignal.timeout?.(15e3), keepalive = body.length < MAX_BYTES;
      status = (await fetch(target, { method: "POST", body, signal, keepalive, credentials: "omit" })).status;
    } catch {}
    flying = [];
    if (status < 200 || status >= 500 || [401, 403, 408, 429].includes(status)) {
      return schedule(Math.min(60e3, 1e3 * 2 ** failures++) * (0.75 + Math.random() / 2));
    }
    failures = 0;
    ids.forEach(forget);
    if (status >= 400) console.warn("clickstream: " + ids.length + " refused, see /rejected");
    if (waiting.size) schedule(0);
  };
  const leave = () => {
    const { ids, body } = batch();
    if (ids.length) navigator.sendBeacon(target, body);
  };

  const arrive = () => {
    const campaign = {}, page = location.pathname;
    for (const [name, value] of new URLSearchParams(location.search)) if (/^utm_(source|medium|campaign)$/.test(name)) campaign[name] = value;
    const { hostname, href } = new URL(document.referrer || location);
    const referrer = !lastPage && hostname !== location.hostname && href.split(/[?#]/)[0];
    lastPage = page;
    return (properties) => track("page_view", { page, title: document.title, ...(referrer && { referrer }), ...campaign, ...properties });
  };
  const page = (properties) => arrive()(properties);
  const navigated = () => { if (location.pathname !== lastPage) setTimeout(arrive()); };
  const clicked = (event) => {
    const element = event.target.closest?.("a,button,[role=button],input[type=submit],[data-track]");
    if (!element) return;
    const name = element.dataset.track || element.id || element.textContent.trim().slice(0, 80) || element.tagName.toLowerCase();
    const target = (element.href?.baseVal ?? element.href)?.split(/[?#]/)[0];
    track("click", { element: name, ...(target && { target }) });
  };

  const api = {
    track, page, flush, set: (properties) => Object.assign(always, properties), push: ([name, ...args]) => api[name](...args),
    identify: (id, traits) => { if (!off) { remember("user", String(id)); track("identify", traits && { traits }); } },
    reset: () => ["user", "device", "session"].forEach((key) => { delete memory[key]; storage("removeItem", key); }),
    search: (query, results_count) => track("search", { query, results_count }),
    addToCart: (properties) => track("add_to_cart", properties),
    removeFromCart: (properties) => track("remove_from_cart", properties),
    checkout: (properties) => track("checkout", properties),
    purchase: (properties) => track("purchase", properties),
  };
  const calls = Array.isArray(window.clickstream) ? window.clickstream : [];
  window.clickstream = api;
  if (off) return;
  if (!("noClicks" in options)) document.addEventListener("click", clicked, true);
  ["pushState", "replaceState"].forEach((key) => {
    const push = history[key];
    history[key] = function (...args) { push.apply(this, args); navigated(); };
  });
  addEventListener("popstate", navigated);
  addEventListener("online", () => { failures = 0; adopt(); flush(); });
  addEventListener("pagehide", leave);
  addEventListener("pageshow", (event) => { if (event.persisted) { lastPage = ""; page(); } });
  document.addEventListener("visibilitychange", () => { if (document.visibilityState === "hidden") flush(); });
  adopt();
  calls.filter(([name]) => name === "set").forEach(api.push);
  page();
  calls.forEach(api.push);
})();
