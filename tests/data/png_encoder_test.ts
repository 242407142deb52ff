// Tests of data/png_encoder.ts: what it writes decodes to the same pixels.
import { assertEquals } from "@std/assert";
import { decodeImage } from "../../data/image.ts";
import { encodePng } from "../../data/png_encoder.ts";
import { Random } from "../../data/random.ts";

for (const [width, height] of [[1, 1], [7, 3], [32, 32]] as const) {
  Deno.test(`encodePng() loses nothing of a picture of ${width} x ${height}`, async () => {
    const random = new Random(width, height);
    const data = Uint8Array.from({ length: 3 * width * height }, () => random.below(256));
    const image = { width, height, data };
    assertEquals(await decodeImage(encodePng(image), "encoded"), image);
  });
}
