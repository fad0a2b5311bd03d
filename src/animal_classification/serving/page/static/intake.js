// Takes photos from the file picker, a drop, the clipboard, the camera or the examples, uploads them and asks for an
// answer. Gradio runs this with: element, trigger, props, server, upload, watch.
const box = element.querySelector(".intake");
const status = element.querySelector(".status");
const camera = element.querySelector(".camera");
const video = element.querySelector("video");
const input = element.querySelector("input[type=file]");
const maxFiles = Number(box.dataset.maxFiles);
const maxBytes = Number(box.dataset.maxBytes);
const GIVE_UP = 90000;
let giveUp = 0;

const photos = (count) => (count === 1 ? "the photo" : `${count} photos`);

function setBusy(text) {
  clearTimeout(giveUp);
  status.textContent = text;
  box.toggleAttribute("data-busy", Boolean(text));
  element.querySelectorAll("[data-example]").forEach((button) => (button.disabled = Boolean(text)));
  if (text) {
    giveUp = setTimeout(() => say("No answer came. Is the server still running? Please try again."), GIVE_UP);
  }
}

function say(text) {
  setBusy("");
  status.textContent = text;
}

async function sendPhotos(files) {
  const all = Array.from(files);
  const chosen = all.slice(0, maxFiles);
  if (!chosen.length || box.hasAttribute("data-busy")) return;
  closeCamera();
  const sent = [];
  for (const [index, file] of chosen.entries()) {
    setBusy(chosen.length > 1 ? `Taking in photo ${index + 1} of ${chosen.length}…` : "Taking in the photo…");
    sent.push(await sendPhoto(file));
  }
  if (sent.every((photo) => photo.problem === "upload")) {
    say("The photos could not be sent. Is the server still running? Please try again.");
    return;
  }
  setBusy(`Looking at ${photos(chosen.length)}…`);
  trigger("submit", { photos: sent, left_out: all.length - chosen.length });
}

async function sendPhoto(file) {
  if (file.size > maxBytes) return { name: file.name, problem: "large" };
  try {
    // The name is told beside the path, because the server keeps only the harmless characters of it.
    const { path } = await upload(new File([file], "photo", { type: file.type }));
    return { name: file.name, path };
  } catch {
    return { name: file.name, problem: "upload" };
  }
}

async function openCamera() {
  if (!navigator.mediaDevices?.getUserMedia) {
    say("This browser lets pages use the camera only at localhost or over https.");
    return;
  }
  try {
    const picture = { facingMode: "environment", width: { ideal: 1920 }, height: { ideal: 1080 } };
    video.srcObject = await navigator.mediaDevices.getUserMedia({ video: picture, audio: false });
    camera.hidden = false;
    say("");
    camera.querySelector("[data-shoot]").focus();
    camera.scrollIntoView({ block: "nearest" });
  } catch (error) {
    const missing = error.name === "NotFoundError";
    say(missing ? "No camera was found." : "The camera could not be used. Did you allow it in the browser?");
  }
}

function closeCamera() {
  video.srcObject?.getTracks().forEach((track) => track.stop());
  video.srcObject = null;
  camera.hidden = true;
}

function shoot() {
  if (!video.videoWidth) return;
  const canvas = document.createElement("canvas");
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  canvas.getContext("2d").drawImage(video, 0, 0);
  canvas.toBlob((blob) => blob && sendPhotos([new File([blob], "camera.jpg", { type: blob.type })]), "image/jpeg", 0.92);
}

function carriesFiles(event) {
  return Array.from(event.dataTransfer?.types ?? []).includes("Files");
}

input.addEventListener("change", async () => {
  const files = Array.from(input.files);
  input.value = "";
  await sendPhotos(files);
});
element.addEventListener("click", (event) => {
  const example = event.target.closest("[data-example]");
  if (example && !box.hasAttribute("data-busy")) {
    setBusy("Looking…");
    trigger("submit", { example: example.dataset.example });
  } else if (event.target.closest("[data-camera]")) {
    openCamera();
  } else if (event.target.closest("[data-camera-off]")) {
    closeCamera();
    element.querySelector("[data-camera]").focus();
  } else if (event.target.closest("[data-shoot]")) {
    shoot();
  }
});
// A photo may be dropped anywhere: a browser would otherwise leave the page to show it.
window.addEventListener("dragover", (event) => {
  if (!carriesFiles(event)) return;
  event.preventDefault();
  box.setAttribute("data-over", "");
});
window.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) box.removeAttribute("data-over");
});
window.addEventListener("drop", (event) => {
  if (!carriesFiles(event)) return;
  event.preventDefault();
  box.removeAttribute("data-over");
  sendPhotos(event.dataTransfer.files);
});
window.addEventListener("paste", (event) => {
  if (event.clipboardData?.files.length) sendPhotos(event.clipboardData.files);
});
window.addEventListener("animals:answered", () => say(""));
window.addEventListener("pagehide", closeCamera);
