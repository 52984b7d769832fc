"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const text = data.text;
  const pane = document.getElementById("text");
  const $ = (id) => document.getElementById(id);

  // Offsets in files count characters, those of the browser UTF-16 units: a letter beyond the basic plane is two.
  const pairs = [];
  for (let i = 0; i < text.length; i++) if ((text.charCodeAt(i) & 0xfc00) === 0xd800) pairs.push(i);
  const below = (test) => {
    let low = 0, high = pairs.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (test(pairs[middle], middle)) low = middle + 1; else high = middle;
    }
    return low;
  };
  const toUnits = (point) => point + below((unit, n) => unit - n < point);
  const toPoint = (unit) => unit - below((place) => place < unit);

  // ---- what there is to decide about

  let count = 0;
  const items = [];
  const readable = (item) => item.kind === "kept" || item.kind === "doubt";
  const byOrder = (a, b) => a.start - b.start || b.end - a.end || a.id - b.id;
  const make = (start, end, fields) => {
    const item = { id: count++, start, end, verdict: "", kind: "found", score: 1, recognizer: "", role: "",
                   entity: "", token: "", ...fields };
    item.first = item.type;
    return item;
  };
  for (const [start, end, type, score, recognizer, role, entity, token, kind] of data.spans)
    items.push(make(toUnits(start), toUnits(end), { type, score, recognizer, role, entity, token, kind }));
  const at = new Map(items.map((item) => [`${item.start}-${item.end}`, item]));
  for (const [from, to, type, verdict] of data.decisions) {
    const start = toUnits(from), end = toUnits(to);
    let item = at.get(`${start}-${end}`);
    if (!item) {
      item = make(start, end, { type, kind: verdict === "add" ? "added" : "found", recognizer: "earlier review" });
      items.push(item);
    }
    if (verdict === "add" && item.kind === "found") item.kind = "added";
    item.verdict = verdict;
    item.type = type;
  }
  items.sort(byOrder);

  // ---- the text, in blocks: a change redraws one of them, and the browser lays out only what is in view

  const BLOCK = 4000, LONGEST = 16000;
  const blocks = [];
  for (let start = 0; start < text.length;) {
    let end = Math.min(text.length, start + BLOCK);
    if (end < text.length) {
      const line = text.indexOf("\n", end);
      end = line >= 0 && line < start + LONGEST ? line + 1 : Math.min(text.length, start + LONGEST);
      if ((text.charCodeAt(end) & 0xfc00) === 0xdc00) end++;
    }
    const element = document.createElement("div");
    element.className = "block";
    blocks.push({ start, end, element, items: [] });
    start = end;
  }
  const blockAt = (unit) => {
    let low = 0, high = blocks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (blocks[middle].start <= unit) low = middle; else high = middle - 1;
    }
    return low;
  };
  const blocksOf = (item) => blocks.slice(blockAt(item.start), blockAt(Math.max(item.start, item.end - 1)) + 1);
  for (const item of items) for (const block of blocksOf(item)) block.items.push(item);

  const startOf = new WeakMap(); // text node -> its first unit
  const rank = (item) => (item.kind === "added" ? 2 : 0) + (item.verdict === "reject" ? 0 : 1);
  const atop = (a, b) => rank(b) - rank(a) || a.start - b.start || b.end - a.end;
  const node = (start, end) => {
    const made = document.createTextNode(text.slice(start, end));
    startOf.set(made, start);
    return made;
  };
  function draw(block) {
    const edges = new Set([block.start, block.end]);
    for (const item of block.items) {
      edges.add(Math.max(block.start, item.start));
      edges.add(Math.min(block.end, item.end));
    }
    const sorted = [...edges].sort((a, b) => a - b);
    const starting = [...block.items].sort(byOrder);
    const parts = [];
    let open = [], next = 0;
    for (let n = 0; n + 1 < sorted.length; n++) {
      const [from, to] = [sorted[n], sorted[n + 1]];
      open = open.filter((item) => item.end > from);
      while (next < starting.length && starting[next].start <= from) open.push(starting[next++]);
      const top = open.filter((item) => item.end > from).sort(atop)[0] || null;
      const last = parts[parts.length - 1];
      if (last && last.top === top) last.to = to; else parts.push({ top, from, to });
    }
    block.element.replaceChildren(...parts.map(({ top, from, to }) => {
      if (!top) return node(from, to);
      const mark = document.createElement("mark");
      mark.dataset.item = top.id;
      mark.dataset.type = top.type;
      mark.className = look(top);
      if (to === top.end) mark.classList.add("last");
      mark.append(node(from, to));
      return mark;
    }));
  }
  const look = (item) => [`t${data.types.indexOf(item.type)}`, item.kind, item.verdict || "open",
    shown(item) ? "" : "off", item === current ? "current" : "",
    current && item.entity !== "" && item.entity === current.entity ? "same" : ""].filter(Boolean).join(" ");
  const marksOf = (item) => blocksOf(item).flatMap((block) =>
    [...block.element.querySelectorAll(`mark[data-item="${item.id}"]`)]);

  // ---- filters

  const hidden = new Set();
  let most = 1, onlyOpen = false, current = null;
  const passes = (item) => !hidden.has(item.type) && item.score <= most;
  const shown = (item) => passes(item) && !(onlyOpen && item.verdict && item !== current);
  function restyle() {
    const known = new Map(items.map((item) => [String(item.id), item]));
    for (const mark of pane.querySelectorAll("mark")) {
      const last = mark.classList.contains("last");
      mark.className = look(known.get(mark.dataset.item));
      mark.classList.toggle("last", last);
    }
  }

  // ---- moving

  const say = (line) => { $("said").textContent = line; };
  function goTo(item, quietly) {
    const before = current;
    current = item;
    for (const touched of [before, item]) if (touched)
      for (const mark of marksOf(touched)) { mark.classList.toggle("current", touched === item); mark.tabIndex = -1; }
    for (const other of items) if (other.entity !== "" && other !== item &&
      (other.entity === item.entity || (before && other.entity === before.entity)))
      for (const mark of marksOf(other)) mark.classList.toggle("same", other.entity === item.entity);
    const mark = marksOf(item)[0];
    if (mark) {
      mark.tabIndex = 0;
      if (!quietly) {
        mark.scrollIntoView({ block: "center" });
        // Blocks out of view have guessed heights: once they are laid out, the place may have moved.
        requestAnimationFrame(() => mark.scrollIntoView({ block: "center" }));
      }
      mark.focus({ preventScroll: true });
    }
    card();
  }
  function step(direction, wanted) {
    const list = items.filter((item) => wanted ? passes(item) && wanted(item) : shown(item));
    if (!list.length) { say("Nothing matches the filters."); return; }
    if (!current) { goTo(direction > 0 ? list[0] : list[list.length - 1]); return; }
    const found = direction > 0
      ? list.find((item) => byOrder(item, current) > 0)
      : list.findLast((item) => byOrder(item, current) < 0);
    if (found) goTo(found); else say(direction > 0 ? "This was the last one." : "This was the first one.");
  }

  // ---- deciding

  const history = [];
  let unsaved = false;
  const state = (item) => ({ item, type: item.type, verdict: item.verdict, there: items.includes(item) });
  const redraw = (touched) => { for (const block of new Set(touched.flatMap(blocksOf))) draw(block); };
  function change(touched, alter) {
    history.push(touched.map(state));
    touched.forEach(alter);
    settle(touched);
  }
  function settle(touched) {
    unsaved = true;
    redraw(touched);
    if (current && !items.includes(current)) current = null;
    tally();
    card();
  }
  function insert(item) {
    items.push(item);
    items.sort(byOrder);
    for (const block of blocksOf(item)) block.items.push(item);
  }
  function remove(item) {
    items.splice(items.indexOf(item), 1);
    for (const block of blocksOf(item)) block.items.splice(block.items.indexOf(item), 1);
  }
  function decide(verdict, all) {
    if (!current) { say("Go to a span first: press j."); return; }
    const chosen = current;
    const touched = all && chosen.entity !== ""
      ? items.filter((item) => item.entity === chosen.entity && item.kind !== "added") : [chosen];
    // What the policy keeps is masked only if a person adds it.
    const wanted = (item) => verdict === "accept" && readable(item) ? "add" : verdict;
    const same = touched.every((item) => item.verdict === wanted(item));
    change(touched, (item) => {
      if (item.kind === "added") { if (verdict === "reject") remove(item); return; }
      item.verdict = same ? "" : wanted(item);
      if (verdict === "reject" || same) item.type = item.first;
    });
    if (same) { if (current) goTo(current, true); say("Undecided again."); return; }
    const next = items.find((item) => byOrder(item, chosen) > 0 && shown(item));
    if (next) goTo(next); else if (items.includes(chosen)) goTo(chosen, true);
    const also = verdict === "reject" ? alike(chosen).filter((item) => !item.verdict).length : 0;
    say(`${verdict === "accept" ? "Accepted" : "Rejected"}: ${touched.length}.`
      + (also ? ` The same string is masked ${also} more times and will be readable there too.` : ""));
  }
  const folded = (item) => text.slice(item.start, item.end).toLowerCase().replace(/\s+/g, " ");
  const alike = (item) => items.filter((other) => other !== item && folded(other) === folded(item));
  function undo() {
    const before = history.pop();
    if (!before) { say("Nothing to undo."); return; }
    for (const { item, type, verdict, there } of before) {
      if (there && !items.includes(item)) insert(item);
      if (!there && items.includes(item)) { remove(item); redraw([item]); }
      item.type = type;
      item.verdict = verdict;
    }
    settle(before.map(({ item }) => item));
    const first = before.map(({ item }) => item).find((item) => items.includes(item));
    if (first) goTo(first);
    say("Undone.");
  }
  function acceptShown() {
    const touched = items.filter((item) => !item.verdict && item.kind === "found" && shown(item));
    if (!touched.length) { say("Nothing undecided is shown."); return; }
    change(touched, (item) => { item.verdict = "accept"; });
    say(`Accepted: ${touched.length}.`);
  }

  // ---- adding what was missed

  function unitOf(container, offset) {
    if (container.nodeType === Node.TEXT_NODE) return startOf.has(container) ? startOf.get(container) + offset : null;
    if (!pane.contains(container)) return null;
    const walker = document.createTreeWalker(pane, NodeFilter.SHOW_TEXT);
    const child = container.childNodes[offset];
    for (let found = walker.nextNode(); found; found = walker.nextNode()) {
      const order = child ? child.compareDocumentPosition(found) : 0;
      if (child ? found === child || order & (Node.DOCUMENT_POSITION_CONTAINED_BY | Node.DOCUMENT_POSITION_FOLLOWING)
        : !(container.contains(found)) && container.compareDocumentPosition(found) & Node.DOCUMENT_POSITION_FOLLOWING)
        return startOf.get(found);
    }
    return text.length;
  }
  function selected() {
    const selection = getSelection();
    if (!selection.rangeCount || selection.isCollapsed) return null;
    const range = selection.getRangeAt(0);
    let start = unitOf(range.startContainer, range.startOffset), end = unitOf(range.endContainer, range.endOffset);
    if (start === null || end === null) return null;
    while (start < end && /\s/.test(text[start])) start++;
    while (end > start && /\s/.test(text[end - 1])) end--;
    return start < end ? { start, end } : null;
  }
  const uphold = (item) => { item.verdict = item.kind === "found" ? "accept" : "add"; };
  function giveType(type) {
    const place = selected();
    if (!place) {
      if (!current) { say("Select text, or go to a span, and press the key of a type."); return; }
      const chosen = current;
      change([chosen], (item) => { item.type = type; uphold(item); });
      goTo(chosen, true);
      say(`Now ${type}.`);
      return;
    }
    let item = items.find((known) => known.start === place.start && known.end === place.end);
    if (item) change([item], (known) => { known.type = type; uphold(known); });
    else {
      item = make(place.start, place.end, { type, kind: "added", verdict: "add", recognizer: "you" });
      history.push([{ ...state(item), there: false }]);
      insert(item);
      settle([item]);
    }
    getSelection().removeAllRanges();
    goTo(item, true);
    const others = text.split(text.slice(place.start, place.end)).length - 2;
    say(`Added as ${type}${others > 0 ? `; the same string stands ${others} more times and will be masked too` : ""}.`);
  }
  function nodeAt(unit) {
    const walker = document.createTreeWalker(blocks[blockAt(unit)].element, NodeFilter.SHOW_TEXT);
    for (let found = walker.nextNode(); found; found = walker.nextNode()) {
      const start = startOf.get(found);
      if (unit >= start && unit <= start + found.length) return [found, unit - start];
    }
    return null;
  }
  let lastFound = -1;
  function find() {
    const wanted = $("find").value;
    if (!wanted) return;
    const pattern = new RegExp(wanted.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replace(/\s+/g, "\\s+"), "giu");
    pattern.lastIndex = lastFound + 1;
    let match = pattern.exec(text);
    if (!match) { pattern.lastIndex = 0; match = pattern.exec(text); }
    if (!match) { say("Not found."); return; }
    lastFound = match.index;
    $("find").blur();
    const from = nodeAt(match.index), to = nodeAt(match.index + match[0].length);
    from[0].parentElement.scrollIntoView({ block: "center" });
    getSelection().setBaseAndExtent(from[0], from[1], to[0], to[1]);
    say("Found: press the key of a type to add it, / and Enter for the next.");
  }

  // ---- handing over

  function decisions() {
    return items.filter((item) => item.verdict).map((item) => ({
      start: toPoint(item.start), end: toPoint(item.end), type: item.type, verdict: item.verdict,
    }));
  }
  function save() {
    const made = { doc_id: data.doc_id, digest: data.digest, decisions: decisions() };
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([JSON.stringify(made)], { type: "application/json" }));
    link.download = `decisions-${data.doc_id}.json`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    unsaved = false;
    tally();
    say(`Exported ${made.decisions.length} decisions.`);
  }
  addEventListener("beforeunload", (event) => { if (unsaved) event.preventDefault(); });

  // ---- the side

  const WORDS = { "": "undecided", accept: "accepted", reject: "rejected", add: "added" };
  function card() {
    $("none").hidden = Boolean(current);
    $("card").hidden = !current;
    if (!current) return;
    const mates = items.filter((item) => item.entity !== "" && item.entity === current.entity);
    const fill = (name, value) => {
      $(`c-${name}`).textContent = value;
      $(`c-${name}`).parentElement.hidden = !value;
    };
    $("c-type").textContent = current.type;
    $("c-type").className = `pill t${data.types.indexOf(current.type)}`;
    $("c-verdict").textContent = WORDS[current.verdict]
      + (current.kind === "kept" ? ", left readable by the policy" : current.kind === "doubt" ? ", readable: is it a name?" : "");
    fill("score", current.kind === "added" || current.kind === "doubt" ? "" : current.score.toFixed(2));
    fill("recognizer", current.recognizer);
    fill("role", current.role);
    fill("token", current.token);
    fill("mention", mates.length ? `${mates.indexOf(current) + 1} of ${mates.length}` : "");
    for (const button of document.querySelectorAll(".entity")) button.disabled = mates.length < 2;
    say(`${current.type}, ${WORDS[current.verdict]}`);
  }
  function tally() {
    const decided = items.filter((item) => item.verdict).length;
    const of = (verdict) => items.filter((item) => item.verdict === verdict).length;
    const found = items.filter((item) => !readable(item)).length;
    $("decided").textContent =
      `${decided} of ${found} decided: ${of("accept")} accepted, ${of("reject")} rejected, ${of("add")} added`;
    $("bar").max = Math.max(found, decided, 1);
    $("bar").value = decided;
    $("save").classList.toggle("wanted", unsaved);
    $("undo").disabled = !history.length;
    for (const row of document.querySelectorAll("#types li"))
      row.querySelector(".n").textContent = items.filter((item) => item.type === row.dataset.type).length;
  }
  function list() {
    const entities = new Map();
    for (const item of items) if (item.entity !== "") {
      if (!entities.has(item.entity)) entities.set(item.entity, { item, n: 0 });
      entities.get(item.entity).n++;
    }
    $("n-entities").textContent = entities.size;
    $("entities").replaceChildren(...[...entities.values()].map(({ item, n }) => {
      const row = document.createElement("li"), button = document.createElement("button");
      button.type = "button";
      button.textContent = `${item.token || item.type}${item.role ? ` · ${item.role}` : ""} · ${n}`;
      button.addEventListener("click", () => goTo(item));
      row.append(button);
      return row;
    }));
  }

  // ---- keys and buttons

  const keys = {
    j: () => step(1), ArrowDown: () => step(1), k: () => step(-1), ArrowUp: () => step(-1),
    n: () => step(1, (item) => !item.verdict),
    a: () => decide("accept"), r: () => decide("reject"), A: () => decide("accept", true), R: () => decide("reject", true),
    u: undo, e: save,
    "/": () => { $("find").focus(); $("find").select(); },
    "?": () => { if ($("help").open) $("help").close(); else $("help").showModal(); },
  };
  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key === "z" && !(event.target instanceof HTMLInputElement)) {
      event.preventDefault();
      undo();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target === $("find")) {
      if (event.key === "Enter") { event.preventDefault(); find(); }
      if (event.key === "Escape") $("find").blur();
      return;
    }
    if (event.target instanceof HTMLInputElement && event.target.type === "range" && event.key.startsWith("Arrow")) return;
    if ($("help").open && event.key !== "?") return;
    const type = data.keys.indexOf(event.key);
    const act = type >= 0 ? () => giveType(data.types[type]) : keys[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
  pane.addEventListener("click", (event) => {
    const mark = event.target.closest("mark");
    if (mark && getSelection().isCollapsed) goTo(items.find((item) => item.id === Number(mark.dataset.item)), true);
  });
  for (const button of document.querySelectorAll("[data-key]"))
    button.addEventListener("click", () => keys[button.dataset.key]());
  for (const button of document.querySelectorAll("[data-give]")) {
    button.addEventListener("mousedown", (event) => event.preventDefault()); // would take the selection away
    button.addEventListener("click", () => giveType(button.dataset.give));
  }
  for (const box of document.querySelectorAll("[data-show]"))
    box.addEventListener("change", () => {
      if (box.checked) hidden.delete(box.dataset.show); else hidden.add(box.dataset.show);
      restyle();
    });
  $("every").addEventListener("change", (event) => {
    for (const box of document.querySelectorAll("[data-show]")) {
      box.checked = event.target.checked;
      if (box.checked) hidden.delete(box.dataset.show); else hidden.add(box.dataset.show);
    }
    restyle();
  });
  $("most").addEventListener("input", (event) => {
    most = Number(event.target.value);
    $("most-said").textContent = most.toFixed(2);
    restyle();
  });
  $("open").addEventListener("change", (event) => { onlyOpen = event.target.checked; restyle(); });
  $("find").addEventListener("input", () => { lastFound = -1; });
  $("accept-shown").addEventListener("click", acceptShown);

  blocks.forEach(draw);
  pane.replaceChildren(...blocks.map((block) => block.element));
  list();
  tally();
  card();
  $("said").textContent = "";
})();
