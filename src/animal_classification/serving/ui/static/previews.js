// Photos as the page shows them: from this browser's own copy, never from the server.
const WIDE = [480, 360];
const LARGEST = 1280; // pixels of the longer side of what is kept for a look at another page

async function drawn(file, size) {
  const bitmap = await createImageBitmap(file);
  try {
    const canvas = document.createElement("canvas");
    const { scale, width, height } = size(bitmap);
    [canvas.width, canvas.height] = [width, height];
    const [w, h] = [bitmap.width * scale, bitmap.height * scale];
    canvas.getContext("2d").drawImage(bitmap, (width - w) / 2, (height - h) / 2, w, h);
    return await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.85));
  } finally {
    bitmap.close();
  }
}

const cut = ({ width, height }) => ({ scale: Math.max(WIDE[0] / width, WIDE[1] / height), width: WIDE[0], height: WIDE[1] });
const whole = ({ width, height }) => {
  const scale = Math.min(1, LARGEST / Math.max(width, height));
  return { scale, width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
};

// The middle of a photo for a card, or all of it, small; null where this browser cannot read it.
export const thumbnail = (file) => drawn(file, cut).catch(() => null);
export const smaller = (file) => drawn(file, whole).catch(() => null);

// A picture that came as a data URL: the content policy lets pages show blobs only.
export function fromDataUrl(url) {
  const [head, data] = url.split(",");
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  return new Blob([bytes], { type: head.match(/^data:([^;,]+)/)[1] });
}

export const toDataUrl = (blob) =>
  new Promise((done, failed) => {
    const reader = new FileReader();
    reader.onload = () => done(reader.result);
    reader.onerror = () => failed(reader.error);
    reader.readAsDataURL(blob);
  });
