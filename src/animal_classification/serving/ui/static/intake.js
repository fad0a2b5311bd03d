// Takes photos from the file picker, a drop of files or folders, the clipboard and the camera.
const camera = document.querySelector(".camera");
const video = document.querySelector("video");
const box = document.querySelector(".intake");
const MOST_FILES = 5000; // of a folder: enough for a memory card, and an end where somebody drops a disk

let opening = null; // what a person allows a while after it was asked for may not be wanted any more

export function closeCamera() {
  opening = null;
  video.srcObject?.getTracks().forEach((track) => track.stop());
  video.srcObject = null;
  camera.hidden = true;
}

async function openCamera(tell) {
  if (!navigator.mediaDevices?.getUserMedia) {
    tell("This browser lets pages use the camera only at localhost or over https.");
    return;
  }
  if (opening || video.srcObject) return;
  const mine = (opening = Symbol("camera"));
  try {
    const wanted = { facingMode: "environment", width: { ideal: 1920 }, height: { ideal: 1080 } };
    const stream = await navigator.mediaDevices.getUserMedia({ video: wanted, audio: false });
    if (opening !== mine) return stream.getTracks().forEach((track) => track.stop());
    opening = null;
    video.srcObject = stream;
    camera.hidden = false;
    tell("");
    camera.querySelector("[data-shoot]").focus();
    camera.scrollIntoView({ block: "nearest" });
  } catch (error) {
    if (opening !== mine) return;
    opening = null;
    const missing = error.name === "NotFoundError";
    tell(missing ? "No camera was found." : "The camera could not be used. Did you allow it in the browser?");
  }
}

function shoot(take) {
  if (!video.videoWidth) return;
  const canvas = document.createElement("canvas");
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  canvas.getContext("2d").drawImage(video, 0, 0);
  canvas.toBlob((photo) => photo && take([{ name: "camera.jpg", file: photo }]), "image/jpeg", 0.92);
}

const named = (file) => ({ name: file.name || "photo", file });
const carriesFiles = (event) => Array.from(event.dataTransfer?.types ?? []).includes("Files");

const children = (folder) => {
  const reader = folder.createReader();
  const all = [];
  return new Promise((done) => {
    const more = () =>
      reader.readEntries(
        (some) => (some.length ? (all.push(...some), more()) : done(all)),
        () => done(all),
      );
    more();
  });
};

// Files and folders as { name, file }; what lies in folders only where it looks like a photo, named with its folders.
async function unpacked(entries, inside = false, found = []) {
  for (const entry of entries.sort((one, other) => one.name.localeCompare(other.name, undefined, { numeric: true }))) {
    if (found.length >= MOST_FILES) break;
    if (entry.isDirectory) await unpacked(await children(entry), true, found);
    else {
      const file = await new Promise((done) => entry.file(done, () => done(null)));
      const photo = file && (!inside || file.type.startsWith("image/") || /\.(heic|heif|avif)$/i.test(file.name));
      if (photo && !(inside && file.name.startsWith("."))) found.push({ name: entry.fullPath.replace(/^\//, ""), file });
    }
  }
  return found;
}

function dropped(transfer) {
  // Asked for at once: when the event is over, nothing is there any more.
  const entries = Array.from(transfer.items ?? [], (item) => item.webkitGetAsEntry?.()).filter(Boolean);
  return entries.some((entry) => entry.isDirectory) ? unpacked(entries) : Promise.resolve(Array.from(transfer.files, named));
}

// Calls `take` with photos, { name, file }, and `tell` with a sentence.
export function watchIntake(take, tell) {
  const input = box.querySelector("input[type=file]");
  input.addEventListener("change", () => {
    const files = Array.from(input.files, named);
    input.value = "";
    take(files);
  });
  box.querySelector("[data-camera]").addEventListener("click", () => openCamera(tell));
  box.querySelector("[data-shoot]").addEventListener("click", () => shoot(take));
  const close = () => {
    closeCamera();
    box.querySelector("[data-camera]").focus();
  };
  box.querySelector("[data-camera-off]").addEventListener("click", close);
  camera.addEventListener("keydown", (event) => event.key === "Escape" && close());
  // A photo may be dropped anywhere: a browser would otherwise leave the page to show it.
  window.addEventListener("dragover", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    box.setAttribute("data-over", "");
  });
  window.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) box.removeAttribute("data-over");
  });
  window.addEventListener("drop", async (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    box.removeAttribute("data-over");
    take(await dropped(event.dataTransfer));
  });
  window.addEventListener("paste", (event) => {
    if (event.clipboardData?.files.length) take(Array.from(event.clipboardData.files, named));
  });
  window.addEventListener("pagehide", closeCamera);
}
