"use strict";
(() => {
  const form = document.getElementById("filter");
  const events = [...document.querySelectorAll(".event")];
  const days = [...document.querySelectorAll(".day")];
  const visible = () => events.filter((event) => !event.hidden);

  const filter = () => {
    const answer = form.elements.answer.value, deployment = form.elements.deployment.value;
    const blank = form.elements.blank.checked;
    for (const event of events) {
      event.hidden = (deployment && event.dataset.deployment !== deployment)
        || (answer && !event.dataset.answers.split("\n").includes(answer))
        || (!blank && event.classList.contains("blank"));
    }
    for (const mark of document.querySelectorAll(".hours a")) {
      mark.toggleAttribute("hidden", document.getElementById(mark.getAttribute("href").slice(1)).hidden);
    }
    for (const day of days) {
      const shown = day.querySelectorAll(".event:not([hidden])").length;
      day.hidden = !shown;
      day.querySelector("h2 small").textContent = `${shown} event${shown === 1 ? "" : "s"}`;
    }
    const shown = visible().length;
    form.querySelector("output").textContent = shown === events.length ? "" : `${shown} of ${events.length} shown`;
  };

  const enlarge = (event, on) => {
    for (const other of document.querySelectorAll(".large")) if (other !== event) other.classList.remove("large");
    event.classList.toggle("large", on);
    event.scrollIntoView({ block: "nearest" });
  };

  const move = (step) => {
    const shown = visible(), at = shown.indexOf(document.activeElement.closest(".event"));
    const next = shown[Math.min(Math.max(at < 0 ? 0 : at + step, 0), shown.length - 1)];
    if (!next) return;
    if (document.querySelector(".large")) enlarge(next, true);
    next.focus();
    next.scrollIntoView({ block: "nearest" });
  };

  document.addEventListener("keydown", (press) => {
    if (press.ctrlKey || press.altKey || press.metaKey || press.target.closest("select, input")) return;
    const event = document.activeElement.closest(".event");
    const onCard = event && document.activeElement === event;
    if (press.key === "j" || press.key === "ArrowRight") move(1);
    else if (press.key === "k" || press.key === "ArrowLeft") move(-1);
    else if (press.key === "Enter" && onCard) enlarge(event);
    else if (press.key === "f" && event) event.querySelector("details").toggleAttribute("open");
    else if (press.key === "Escape" && document.querySelector(".large")) enlarge(document.querySelector(".large"), false);
    else return;
    press.preventDefault();
  });
  for (const event of events) {
    const figure = event.querySelector("figure");
    if (figure) figure.addEventListener("click", () => { event.focus({ preventScroll: true }); enlarge(event); });
  }
  form.hidden = false;
  form.addEventListener("input", filter);
  form.addEventListener("submit", (submit) => submit.preventDefault());
  filter();
})();
