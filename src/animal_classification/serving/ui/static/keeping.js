// The answers of this browser tab, so that they are still there after a look at another page. Gone with the tab.
import { fromDataUrl, smaller, toDataUrl } from "./previews.js";

const KEY = "animals.answers";
let latest = null; // what is to be kept: another one came, or it was dropped, while the one before was being made small

// photos: { name, entry, picture, thumbnail }; where they are too much for the browser's store, nothing is kept.
export async function keep(photos) {
  drop();
  const mine = (latest = Symbol("photos"));
  try {
    const single = photos.length === 1;
    const kept = [];
    for (const { name, entry, picture, thumbnail } of photos) {
      const shown = single ? await smaller(picture) : thumbnail;
      kept.push({ name, entry, shown: shown && (await toDataUrl(shown)) });
    }
    if (latest === mine) sessionStorage.setItem(KEY, JSON.stringify(kept));
  } catch {
    if (latest === mine) drop(); // too large, or the browser keeps nothing
  }
}

export function drop() {
  latest = null;
  try {
    sessionStorage.removeItem(KEY);
  } catch {
    // a browser that keeps nothing has nothing to drop
  }
}

export function kept() {
  try {
    const photos = JSON.parse(sessionStorage.getItem(KEY)) ?? [];
    return photos.map(({ name, entry, shown }) => {
      const picture = shown ? fromDataUrl(shown) : new Blob([]);
      return { name, entry, picture, thumbnail: shown ? picture : null };
    });
  } catch {
    return [];
  }
}
