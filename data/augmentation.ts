/**
 * Random changes to training pictures that keep the answers true, so that few pictures do for many. Called by
 * batch_builder.ts on pictures that are resized and not yet numbers; never in evaluation.
 *
 * Ours: nanoVLM v0.1 trains on pictures as they are.
 */
import type { Random } from "./random.ts";
import type { RgbImage } from "./rgb_image.ts";

/** What may be changed: nothing, or place and handedness. */
export type Augmentation = "none" | "shift_flip";

/** Columns and lines of a picture, ends included. */
interface Box {
  left: number;
  right: number;
  top: number;
  bottom: number;
}

/**
 * A picture as one epoch sees it.
 *
 * "shift_flip" mirrors left and right in half of the cases, and moves what lies on a background of
 * one colour, the first corner's, to any place where all of it can be seen. What touches an edge may
 * go on behind it, so it stays there: a photograph, which touches all edges, is mirrored only. Not
 * for questions about left and right, or about text in pictures.
 *
 * @param image (height, width, 3) bytes, left as they are
 * @param random the only source of chance: three draws at most
 * @returns the same picture where nothing is to be done, otherwise a new one of the same size
 */
export function augment(image: RgbImage, kind: Augmentation, random: Random): RgbImage {
  if (kind === "none") return image;
  const isFlipped = random.below(2) === 1;
  const background = colourAt(image, 0, 0);
  const { left, right, top, bottom } = boundingBox(image, background);
  const x = shift(left, image.width - 1 - right, random);
  const y = shift(top, image.height - 1 - bottom, random);
  return isFlipped || x !== 0 || y !== 0 ? moved(image, { x, y, isFlipped, background }) : image;
}

/** How far to move what has that much room before and behind it: anywhere, or nowhere where it touches an edge. */
function shift(before: number, behind: number, random: Random): number {
  return before > 0 && behind > 0 ? random.below(before + behind + 1) - before : 0;
}

/** Red, green and blue of a pixel as one number. */
function colourAt({ width, data }: RgbImage, x: number, y: number): number {
  const at = 3 * (y * width + x);
  return ((data[at] ?? 0) << 16) | ((data[at + 1] ?? 0) << 8) | (data[at + 2] ?? 0);
}

/** What has another colour than the background; the whole picture where nothing has. */
function boundingBox(image: RgbImage, background: number): Box {
  const { width, height } = image;
  const box = { left: width, right: -1, top: height, bottom: -1 };
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (colourAt(image, x, y) === background) continue;
      box.left = Math.min(box.left, x);
      box.right = Math.max(box.right, x);
      box.top = Math.min(box.top, y);
      box.bottom = y;
    }
  }
  return box.right < 0 ? { left: 0, right: width - 1, top: 0, bottom: height - 1 } : box;
}

/** The picture moved right by x and down by y, the background behind it, and then perhaps mirrored. */
function moved(
  image: RgbImage,
  { x, y, isFlipped, background }: {
    x: number;
    y: number;
    isFlipped: boolean;
    background: number;
  },
): RgbImage {
  const { width, height } = image;
  const data = new Uint8Array(image.data.length); // (height, width, 3)
  for (let row = 0, to = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const fromX = (isFlipped ? width - 1 - column : column) - x;
      const fromY = row - y;
      const isInside = fromX >= 0 && fromX < width && fromY >= 0 && fromY < height;
      const colour = isInside ? colourAt(image, fromX, fromY) : background;
      data[to++] = colour >> 16;
      data[to++] = (colour >> 8) & 255;
      data[to++] = colour & 255;
    }
  }
  return { width, height, data };
}
