/**
 * Golden pictures: decoding against Pillow's pixels, and resizing those pixels as nanoVLM v0.1 does.
 */
import { decodePlain, type RgbImage } from "../../data/image.ts";
import { toPixels } from "../../data/processor.ts";
import { resize } from "../../data/resize.ts";
import type { SafetensorsFile } from "../../model/safetensors.ts";
import { differing, largestDifference } from "./compare.ts";
import { namesIn, withFile } from "./golden.ts";
import { LATER } from "./model_case.ts";
import type { CaseReport } from "./report.ts";

/** Levels by which JPEG decoders may differ: their inverse cosine transforms round differently. */
const JPEG_LEVELS = 3;

/** Compares a folder of pictures. Whatever is wrong goes into the report. */
export async function verifyImages(dir: string, report: CaseReport): Promise<void> {
  const originals = new Map<string, RgbImage>();
  await report.attempt(
    "decoded_rgb.safetensors",
    () =>
      withFile(`${dir}/decoded_rgb.safetensors`, async (file) => {
        for (const name of file.tensors.keys()) {
          await report.attempt(`decoding ${name}`, async () => {
            const golden = readPicture(file, name);
            originals.set(name, golden);
            await compareDecoding(report, `${dir}/${name}`, golden);
          });
        }
      }),
  );
  for (const name of namesIn(dir)) {
    if (name.startsWith("head")) report.skip(name, LATER);
    if (!/^v01_resize_\d+\.safetensors$/.test(name)) continue;
    await report.attempt(name, () =>
      withFile(`${dir}/${name}`, async (file) => {
        for (const picture of file.tensors.keys()) {
          const quantity = `${name} ${picture}`;
          await report.attempt(quantity, () => {
            const original = originals.get(picture);
            if (!original) throw new RangeError(`Cannot resize ${picture}: it was not decoded`);
            compareResizing(report, { quantity, original, file, picture });
          });
        }
      }));
  }
}

function readPicture(file: SafetensorsFile, name: string): RgbImage {
  const [height = 0, width = 0] = file.entry(name).shape;
  const data = file.read(name);
  if (data instanceof Uint8Array) return { width, height, data };
  throw new SyntaxError(
    `Cannot use "${file.path}": "${name}" is ${file.entry(name).dtype}, expected U8. ` +
      "Fetch the golden file again.",
  );
}

async function compareDecoding(report: CaseReport, path: string, golden: RgbImage) {
  const name = path.slice(path.lastIndexOf("/") + 1);
  const found = await decodePlain(Deno.readFileSync(path), name);
  if (found.width !== golden.width || found.height !== golden.height) {
    throw new RangeError(
      `Cannot compare ${name}: it is ${found.width} x ${found.height}, expected ` +
        `${golden.width} x ${golden.height}`,
    );
  }
  const jpeg = /\.jpe?g$/i.test(name);
  report.compare(
    `decoding ${name}`,
    largestDifference(found.data, golden.data),
    jpeg ? JPEG_LEVELS : 0,
    jpeg ? "levels of 255; JPEG decoders round differently" : "levels of 255",
  );
}

interface Resizing {
  readonly quantity: string;
  readonly original: RgbImage;
  readonly file: SafetensorsFile;
  readonly picture: string;
}

/** U8 tensors are 255 times the pixels, exactly; F32 ones are the pixels. */
function compareResizing(
  report: CaseReport,
  { quantity, original, file, picture }: Resizing,
): void {
  const { dtype, shape: [, height = 0, width = 0] } = file.entry(picture);
  const pixels = toPixels(resize(original, width, height), { mean: 0, std: 1 }); // (3, S, S)
  const found = dtype === "U8" ? Uint8Array.from(pixels, (x) => Math.round(x * 255)) : pixels;
  const golden = dtype === "U8" ? file.read(picture) : file.readFloat32(picture);
  if (golden instanceof BigInt64Array) throw new SyntaxError(`Cannot use ${picture}: it is I64`);
  report.compare(quantity, differing(found, golden), 0, "values that differ");
}
