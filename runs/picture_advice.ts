/**
 * What becomes of pictures that are far from square, or far larger than what the model sees, and
 * which size would show more of them.
 *
 * Between dataset_survey.ts and inspect.ts. Ours.
 */
import type { VLMConfig } from "../model/config.ts";
import { percent } from "./report.ts";
import { Tally } from "./tally.ts";

/** From this ratio of its sides on a picture is oblong. */
const OBLONG = 1.5;
/** Pictures as they are. */
export class PictureSizes {
  readonly widths = new Tally();
  readonly heights = new Tally();
  /** Pictures one side of which is at least 1.5 times the other. */
  oblong = 0;

  /** Takes one picture. */
  add({ width, height }: { readonly width: number; readonly height: number }): void {
    this.widths.add(width);
    this.heights.add(height);
    if (Math.max(width, height) >= OBLONG * Math.min(width, height)) this.oblong++;
  }
}

/** A share of oblong pictures that is worth a word. */
const WORTH_SAYING = 0.1;
/** So many pixels of a picture, or more, in one that the model sees lose small things. */
const FAR_LARGER = 3;
/** Pixels that a thing takes to be more than a dot. */
const LEAST_PIXELS = 4;
/** The largest size that is advised. */
const LARGEST = 512;

type SizeKeys =
  | "vit_img_size"
  | "vit_patch_size"
  | "image_fit"
  | "mp_pixel_shuffle_factor"
  | "vlm_load_backbone_weights";

/** What a person should know about the pictures' shapes, in sentences; none where all is well. */
export function pictureAdvice(
  { widths, heights, oblong }: PictureSizes,
  vlm: Pick<VLMConfig, SizeKeys>,
): string[] {
  const { vit_img_size: side, vit_patch_size: patch, mp_pixel_shuffle_factor: factor } = vlm;
  const advice: string[] = [];
  const [width, height] = [widths.quantile(0.5), heights.quantile(0.5)];
  if (oblong > WORTH_SAYING * widths.count) {
    const whole = `${percent(oblong / widths.count)} of the pictures are far from square: `;
    const shorter = Math.min(width, height) / Math.max(width, height);
    advice.push(
      whole +
        (vlm.image_fit === "pad"
          ? `one of ${width} × ${height} fills ${percent(shorter)} of the ${side} × ${side} that ` +
            `the model sees, the rest is ground`
          : `one of ${width} × ${height} is squeezed into the ${side} × ${side} that the model sees; ` +
            `--set image_fit=pad keeps its shape`),
    );
  }
  const shrunk = Math.max(width, height) / side;
  if (!(shrunk >= FAR_LARGER)) return advice;
  const step = patch * factor;
  const up = (pixels: number) => Math.ceil(pixels / step) * step;
  const sizes = [2 * side, Math.min(LARGEST, Math.max(width, height) / 2)].map(up);
  const choices = [...new Set(sizes)].filter((size) => size > side).map((size) =>
    `vit_img_size=${size} sees ${Math.ceil(LEAST_PIXELS * shrunk * side / size)} at ` +
    `${times((size / side) ** 2)} times the patches`
  );
  const smallest = Math.ceil(LEAST_PIXELS * shrunk);
  advice.push(
    `Pictures of ${width} × ${height} are far larger than the ${side} × ${side} that the model ` +
      `sees: what is smaller than about ${smallest} pixels is lost` +
      // A pretrained model's size is its own.
      (vlm.vlm_load_backbone_weights ? "" : `; --set ${choices.join(", ")}`),
  );
  return advice;
}

/** "4", "12.5". */
function times(ratio: number): string {
  return ratio.toLocaleString("en", { maximumFractionDigits: ratio < 20 ? 1 : 0 });
}
