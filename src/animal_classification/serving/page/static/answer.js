// Behaviour of an answer: the heatmap's slider, and bringing a new answer to eyes, keyboard and screen reader.
element.addEventListener("input", (event) => {
  if (!event.target.matches("[data-heat]")) return;
  event.target.closest(".photo").style.setProperty("--heat", event.target.value / 100);
});
watch("value", () => {
  // Gradio patches the old answer into the new one, and what a visitor did to the old one would live on.
  element.querySelectorAll("details[open]").forEach((details) => (details.open = false));
  element.querySelectorAll("[data-heat]").forEach((slider) => (slider.value = 0));
  element.querySelectorAll(".photo").forEach((photo) => photo.style.removeProperty("--heat"));
  document.documentElement.classList.add("answered");
  window.dispatchEvent(new Event("animals:answered"));
  element.querySelector("#answer-name")?.focus({ preventScroll: true });
  window.scrollTo({ top: 0, behavior: "instant" });
});
