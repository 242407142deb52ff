/**
 * ImageMagick in WebAssembly, for the kinds of pictures that are too rare for a decoder of their
 * own: JPEG in CMYK or with odd sampling, BMP, HEIC, AVIF, and TIFF packed as a facsimile or as
 * JPEG. It is loaded when the first of them comes. Used by avif.ts, jpeg.ts, tiff.ts and image.ts.
 *
 * Its JPEG and TIFF libraries are those of Pillow and give the same bytes. Of a HEIC file, which
 * plain Pillow cannot read, the pixels are pillow-heif's, some of them one level off; those of an
 * AVIF file, which avif.ts turns, differ from Pillow's where colours change quickly: by 15 levels,
 * in noise by 50.
 */
import type { RgbImage } from "./rgb_image.ts";
import { splitAlpha } from "./rgb_image.ts";

type Magick = typeof import("@imagemagick/magick-wasm");

let loaded: Promise<Magick> | undefined;

async function load(): Promise<Magick> {
  const magick = await import("@imagemagick/magick-wasm");
  const url = new URL(import.meta.resolve("@imagemagick/magick-wasm/magick.wasm"));
  await magick.initializeImageMagick(await Deno.readFile(url));
  return magick;
}

/** Cyan, magenta, yellow and black to red, green and blue in place, by Pillow's formula. */
export function cmykToRgb(cmyk: Uint8Array, pixels: number): void {
  for (let pixel = 0; pixel < pixels; pixel++) {
    const light = 255 - (cmyk[4 * pixel + 3] ?? 0);
    for (let c = 0; c < 3; c++) {
      const ink = (cmyk[4 * pixel + c] ?? 0) * light + 128;
      cmyk[4 * pixel + c] = Math.max(0, light - ((ink + (ink >> 8)) >> 8));
    }
    cmyk[4 * pixel + 3] = 255;
  }
}

/**
 * Decodes a file.
 *
 * @param format what it is; ImageMagick's own guess would run other decoders than those meant
 * @returns a picture of (height, width, 3) bytes, with its alpha
 * @throws {SyntaxError} saying what was found, when the file is damaged or cut short
 */
export async function decodeByMagick(
  bytes: Uint8Array,
  format: "JPEG" | "BMP" | "TIFF" | "HEIC" | "AVIF",
): Promise<RgbImage> {
  const { ColorSpace, MagickImage, MagickReadSettings } = await (loaded ??= load());
  const image = MagickImage.create();
  try {
    // libjpeg paints what is missing grey and only warns.
    let cut: string | undefined;
    image.onWarning = ({ error }) => {
      if (/premature end|unexpected end|not enough data/i.test(error.message)) cut = error.message;
    };
    image.read(bytes, new MagickReadSettings({ format, frameIndex: 0, frameCount: 1 }));
    if (cut) throw new SyntaxError(cut);
    const { width, height } = image;
    const isCmyk = image.colorSpace === ColorSpace.CMYK;
    const pixels = image.getPixels((all) =>
      all.toByteArray(0, 0, width, height, isCmyk ? "CMYK" : "RGBA")
    );
    if (!pixels) throw new SyntaxError("no pixels");
    if (isCmyk) cmykToRgb(pixels, width * height);
    return splitAlpha(pixels as Uint8Array<ArrayBuffer>, { width, height });
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new SyntaxError(message.replace(/\s*`.*$/s, ""), { cause });
  } finally {
    image.dispose();
  }
}
