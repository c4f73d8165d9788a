"use strict";
// Everything here is comfort: search and reading work without it.
document.documentElement.classList.add("js");

// Search: drop, paste or photograph a picture.
function prepareDrop(form) {
  const input = form.querySelector("#picture");
  const busy = form.querySelector("[data-busy]");
  const send = () => { busy.hidden = false; form.requestSubmit(); };
  const take = (files) => {
    const picture = [...files].find((file) => file.type.startsWith("image/") || file.name);
    if (!picture) return;
    const one = new DataTransfer();
    one.items.add(picture);
    input.files = one.files;
    send();
  };
  input.addEventListener("change", () => { if (input.files.length) send(); });
  form.addEventListener("submit", () => { busy.hidden = false; });
  for (const kind of ["dragenter", "dragover"]) {
    document.addEventListener(kind, (event) => { event.preventDefault(); form.classList.add("over"); });
  }
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) form.classList.remove("over");
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    form.classList.remove("over");
    take(event.dataTransfer.files);
  });
  document.addEventListener("paste", (event) => take(event.clipboardData.files));
  const camera = form.querySelector("[data-camera]");
  if (window.matchMedia("(pointer: coarse)").matches) {
    const lens = camera.querySelector("input");
    camera.hidden = false;
    lens.disabled = false;
    lens.removeAttribute("name");
    lens.addEventListener("change", () => take(lens.files));
  }
  window.addEventListener("pageshow", () => { busy.hidden = true; });
}

// Lists of people and faces: what can be done appears as soon as something is chosen.
function prepareChoice(form) {
  const actions = form.querySelector("[data-actions]");
  const update = () => actions.classList.toggle("on", form.querySelector("input:checked") !== null);
  form.addEventListener("change", update);
  update();
}

// Progress of an index run, by server-sent events.
function prepareRun(box) {
  if (!["running", "stopping"].includes(box.dataset.run)) return;
  const events = new EventSource("/status/events");
  events.onmessage = (event) => {
    const run = JSON.parse(event.data);
    if (!["running", "stopping"].includes(run.state)) {
      events.close();
      location.reload();
      return;
    }
    const number = (value) => value.toLocaleString("en");
    box.querySelector("[data-what]").textContent = run.what;
    box.querySelector("[data-count]").textContent =
      number(run.done) + (run.total ? ` of ${number(run.total)}` : "");
    const bar = box.querySelector("[data-bar]");
    if (run.total) { bar.max = run.total; bar.value = run.done; }
  };
  window.addEventListener("pagehide", () => events.close());
}

// Review: one key per answer; what was answered disappears, and the next one is asked.
function prepareReview(list) {
  const said = document.querySelector("[data-said]");
  const cards = () => [...list.querySelectorAll(".suggestion")];
  const focus = (card) => { if (card) { card.focus(); card.scrollIntoView({ block: "nearest" }); } };
  const current = () => document.activeElement.closest(".suggestion") || cards()[0];
  async function answer(card, button) {
    const form = card.querySelector("form");
    const body = new URLSearchParams(new FormData(form));
    body.set("do", button.value);
    form.querySelectorAll("button").forEach((one) => { one.disabled = true; });
    const all = cards();
    const place = all.indexOf(card);
    const next = all[place + 1] || all[place - 1];
    const response = await fetch(form.action, { method: "POST", body, redirect: "manual" });
    if (response.type !== "opaqueredirect") {
      location.reload();
      return;
    }
    said.textContent = `${button.textContent}: ${card.getAttribute("aria-label")}`;
    card.remove();
    if (next) focus(next);
    else location.reload();
  }
  list.addEventListener("submit", (event) => {
    event.preventDefault();
    answer(event.target.closest(".suggestion"), event.submitter);
  });
  const keys = { y: "yes", n: "no", i: "ignore" };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input")) return;
    const card = current();
    if (!card) return;
    const key = event.key.toLowerCase();
    const all = cards();
    if (keys[key]) {
      const button = card.querySelector(`button[value=${keys[key]}]`);
      if (!button.disabled) answer(card, button);
    } else if (key === "arrowright" || key === "arrowdown") {
      focus(all[all.indexOf(card) + (document.activeElement.closest(".suggestion") ? 1 : 0)]);
    } else if (key === "arrowleft" || key === "arrowup") {
      focus(all[all.indexOf(card) - 1]);
    } else {
      return;
    }
    event.preventDefault();
  });
}

// A photo: draw a box around a face that was missed.
function prepareDrawing(tools) {
  const photo = document.querySelector("[data-photo]");
  const fields = ["x", "y", "w", "h"].map((name) => tools.querySelector(`[name=${name}]`));
  let box = null;
  let start = null;
  const place = (event) => {
    const point = new DOMPoint(event.clientX, event.clientY)
      .matrixTransform(photo.getScreenCTM().inverse());
    const { width, height } = photo.viewBox.baseVal;
    return [Math.min(Math.max(point.x, 0), width), Math.min(Math.max(point.y, 0), height)];
  };
  const draw = (values) => {
    if (!box) {
      box = document.createElementNS("http://www.w3.org/2000/svg", "rect");
      box.setAttribute("class", "drawn");
      box.setAttribute("stroke-width", Math.max(photo.viewBox.baseVal.width, 1) / 220);
      photo.append(box);
    }
    ["x", "y", "width", "height"].forEach((name, i) => box.setAttribute(name, values[i]));
  };
  const read = () => fields.map((field) => Number(field.value) || 0);
  tools.addEventListener("toggle", () => {
    photo.classList.toggle("drawing", tools.open);
    if (box && !tools.open) { box.remove(); box = null; }
  });
  tools.addEventListener("input", () => draw(read()));
  photo.addEventListener("pointerdown", (event) => {
    if (!tools.open) return;
    event.preventDefault();
    photo.setPointerCapture(event.pointerId);
    start = place(event);
  });
  photo.addEventListener("pointermove", (event) => {
    if (!start) return;
    const end = place(event);
    const values = [
      Math.min(start[0], end[0]), Math.min(start[1], end[1]),
      Math.abs(start[0] - end[0]), Math.abs(start[1] - end[1]),
    ].map((value) => Math.round(value * 10) / 10);
    fields.forEach((field, i) => { field.value = values[i]; });
    draw(values);
  });
  photo.addEventListener("pointerup", () => {
    if (start && Number(fields[2].value) > 0) tools.querySelector("#who").focus();
    start = null;
  });
}

// A photo whose file is gone or damaged: say so in its place; the stored faces stay beside it.
document.querySelectorAll("svg.framed image").forEach((image) => {
  const fail = () => image.closest("svg").classList.add("broken");
  image.addEventListener("error", fail);
  if (image.decode) image.decode().catch(fail); // it may have failed before this script ran
});
document.querySelectorAll("[data-draw]").forEach(prepareDrawing);
document.querySelectorAll("[data-review]").forEach(prepareReview);
document.querySelectorAll("[data-drop]").forEach(prepareDrop);
document.querySelectorAll("[data-choose]").forEach(prepareChoice);
document.querySelectorAll("[data-run]").forEach(prepareRun);
document.querySelectorAll(".mergelist").forEach((form) => {
  form.addEventListener("change", () => form.requestSubmit());
});
document.querySelectorAll("[data-filters]").forEach((form) => {
  form.addEventListener("change", () => form.requestSubmit());
});
