// Returns a sentence for each element that is cut off, covered, or outside of its card.
async (width) => {
  for (let looks = 0; innerWidth !== width; looks += 1) {
    if (looks > 500) return [`the frame is ${innerWidth} px wide and not ${width}`];
    await new Promise((done) => setTimeout(done, 10));
  }

  const CONTROLS = "a[href], button, select, textarea, summary, input:not([type=hidden])";
  const UNREAD = ".hidden-words, select, textarea, script, style, template, svg, option, [hidden]";
  const root = document.querySelector("dialog[open]") ?? document.body;
  const found = [];

  const isSeen = (element) =>
    element.checkVisibility({ visibilityProperty: true }) && !element.closest(".hidden-words");
  const short = (text) => {
    const words = text.trim().replace(/\s+/g, " ");
    return words.length > 40 ? `${words.slice(0, 40)}…` : words;
  };
  const kindOf = (element) =>
    `${element.localName}${element.id ? `#${element.id}` : ""}${[...element.classList].map((name) => `.${name}`).join("")}`;
  const nameOf = (element) =>
    `${kindOf(element)} "${short(element.getAttribute("aria-label") ?? (element.textContent || element.name || ""))}"`;
  const wide = (rect) => rect.width > 0 && rect.height > 0;

  // ---- the page itself
  const { scrollWidth, clientWidth } = document.documentElement;
  if (scrollWidth > clientWidth) found.push(`the page scrolls sideways by ${scrollWidth - clientWidth} px`);

  // ---- what cuts off, or scrolls inside the page
  for (const element of root.querySelectorAll("*")) {
    if (element.matches("select, textarea, input, progress, svg, svg *") || !isSeen(element)) continue;
    const { overflowX, overflowY } = getComputedStyle(element);
    if (overflowX !== "visible" && element.scrollWidth > element.clientWidth + 1) {
      found.push(`${kindOf(element)} cuts off or scrolls ${element.scrollWidth - element.clientWidth} px at its side`);
    }
    if (overflowY !== "visible" && element.scrollHeight > element.clientHeight + 1) {
      found.push(`${kindOf(element)} cuts off or scrolls ${element.scrollHeight - element.clientHeight} px below`);
    }
  }

  // ---- all boxes: controls, and lines of text
  // The range that an element's content may fill: its own box cut by the boxes around it. leftOf and
  // rightOf name the boxes that set the limits.
  const page = { left: 0, right: clientWidth, leftOf: "the page", rightOf: "the page" };
  const rooms = new Map([[document.documentElement, page]]);
  const roomIn = (element) => {
    const known = rooms.get(element);
    if (known) return known;
    const room = { ...(element === root ? page : roomIn(element.parentElement)) };
    const { display } = getComputedStyle(element);
    if (display !== "inline" && display !== "contents") {
      const { left, right } = element.getBoundingClientRect();
      if (left > room.left) Object.assign(room, { left, leftOf: kindOf(element) });
      if (right < room.right) Object.assign(room, { right, rightOf: kindOf(element) });
    }
    rooms.set(element, room);
    return room;
  };
  const outside = (rect, element) => {
    const { left, right, leftOf, rightOf } = roomIn(element);
    if (rect.right > right + 1) return rightOf;
    return rect.left < left - 1 ? leftOf : "";
  };

  const boxes = [];
  for (const control of root.querySelectorAll(CONTROLS)) {
    if (!isSeen(control)) continue;
    const rects = [...control.getClientRects()].filter(wide);
    if (!rects.length) {
      found.push(`${nameOf(control)} has no size`);
      continue;
    }
    for (const rect of rects) {
      const place = outside(rect, control.parentElement);
      if (place) found.push(`${nameOf(control)} reaches out of ${place}`);
      boxes.push({ rect, control, text: null });
    }
  }
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  const range = document.createRange();
  while (walker.nextNode()) {
    const text = walker.currentNode;
    const parent = text.parentElement;
    if (!text.data.trim() || parent.closest(UNREAD) || !isSeen(parent)) continue;
    range.selectNodeContents(text);
    const control = parent.closest(CONTROLS);
    const rects = [...range.getClientRects()].filter(wide);
    const out = rects.map((rect) => outside(rect, parent)).find(Boolean);
    if (out) found.push(`the text "${short(text.data)}" reaches out of ${out}`);
    for (const rect of rects) boxes.push({ rect, control, text });
  }

  // ---- our own short words, which never need to break
  for (const element of root.querySelectorAll("button, thead th, .pill, nav a")) {
    if (!isSeen(element)) continue;
    const words = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
    while (words.nextNode()) {
      for (const { 0: word, index } of words.currentNode.data.matchAll(/[\p{L}]+/gu)) {
        range.setStart(words.currentNode, index);
        range.setEnd(words.currentNode, index + word.length);
        if (range.getClientRects().length > 1) found.push(`${nameOf(element)} breaks a word`);
      }
    }
  }

  // ---- one on top of another; the tall signs of some scripts reach into the line above
  const told = new Set();
  boxes.sort((one, other) => one.rect.top - other.rect.top);
  boxes.forEach((one, place) => {
    for (let next = place + 1; next < boxes.length; next += 1) {
      const other = boxes[next];
      if (other.rect.top > one.rect.bottom - 6) break;
      const same = one.text === null || other.text === null ? one.control === other.control : one.text === other.text;
      if (same) continue;
      const across = Math.min(one.rect.right, other.rect.right) - Math.max(one.rect.left, other.rect.left);
      const down = Math.min(one.rect.bottom, other.rect.bottom) - other.rect.top;
      if (across <= 2 || down <= 6) continue;
      const names = [one, other].map(({ control, text }) => (text ? `"${short(text.data)}"` : nameOf(control)));
      told.add(`${names[0]} lies on ${names[1]}`);
    }
  });
  found.push(...told);

  // ---- what a mouse finds at the middle of each control
  for (const control of root.querySelectorAll(CONTROLS)) {
    if (!isSeen(control)) continue;
    const middle = () => {
      const rect = [...control.getClientRects()].find(wide);
      return rect && [rect.left + rect.width / 2, rect.top + rect.height / 2];
    };
    if (!middle()) continue;
    let hit = document.elementFromPoint(...middle());
    // Out of sight, until it is scrolled to or the portal has made the frame higher.
    for (let looks = 0; !hit && looks < 50; looks += 1) {
      control.scrollIntoView({ block: "center" });
      await new Promise((done) => setTimeout(done, 10));
      hit = document.elementFromPoint(...middle());
    }
    if (!control.contains(hit)) found.push(`a mouse finds ${hit ? kindOf(hit) : "nothing"} at ${nameOf(control)}`);
  }
  return [...new Set(found)];
}
