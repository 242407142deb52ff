/**
 * Tests that a broken picture, however it is broken, is a picture or a clear error: no hang, no
 * crash, no memory blow-up, and the next picture is as good as ever.
 */
import { assert, assertEquals, assertLess, assertMatch, assertRejects } from "@std/assert";
import { decodeImage } from "../../data/image.ts";
import { Random } from "../../data/random.ts";
import { BREAKAGES, breakFile, STRUCTURES } from "./breakage.ts";
import type { DecodingReply, DecodingRequest } from "./decoding_worker.ts";
import { animateWebp, fromBase64, GOLDEN, goldenImage } from "./helpers.ts";

const { files }: { files: Record<string, { file: string }> } = JSON.parse(
  Deno.readTextFileSync(new URL("awkward_images.json", GOLDEN)),
);
const awkward = (...names: string[]) => names.map((name) => fromBase64(files[name]!.file));

const LOSSY = awkward("w_lossy.webp", "w_alpha.webp");
const PICTURES = {
  PNG: [goldenImage("1_gray.png"), ...awkward("p_2_8_1.png", "p_3_4_0.png", "p_6_16_1.png")],
  JPEG: [goldenImage("5_photo.jpg"), ...awkward("j_base.jpg", "j_prog.jpg", "j_cmyk.jpg")],
  WebP: [
    ...LOSSY,
    ...awkward("w_lossless.webp", "w_alpha_ll.webp"),
    animateWebp(LOSSY, { width: 24, height: 16 }, { width: 31, height: 20 }),
  ],
  GIF: awkward("g_plain.gif", "g_inter.gif", "g_transp.gif"),
};
type Kind = keyof typeof PICTURES;

const COUNT = 200;
const MOST_MILLISECONDS = 5000;
/** What the process may grow by, whatever it did before; it was 70 MB at most. */
const MOST_GROWTH_BYTES = 300e6;

/** A worker that decodes, ended when an answer takes too long. */
class Decoding implements Disposable {
  #worker = this.#start();

  #start(): Worker {
    return new Worker(new URL("./decoding_worker.ts", import.meta.url), { type: "module" });
  }

  async decode(request: DecodingRequest): Promise<DecodingReply | "hang" | "crash"> {
    const { promise, resolve } = Promise.withResolvers<DecodingReply | "hang" | "crash">();
    const timer = setTimeout(() => resolve("hang"), MOST_MILLISECONDS);
    this.#worker.onmessage = (event: MessageEvent<DecodingReply>) => resolve(event.data);
    this.#worker.onerror = (event) => {
      event.preventDefault();
      resolve("crash");
    };
    this.#worker.postMessage(request);
    const reply = await promise;
    clearTimeout(timer);
    if (typeof reply === "string") {
      this.#worker.terminate();
      this.#worker = this.#start();
    }
    return reply;
  }

  [Symbol.dispose](): void {
    this.#worker.terminate();
  }
}

/** How often each outcome came of each kind. */
const table: Record<string, Record<string, number | string>> = {};

for (const kind of Object.keys(PICTURES) as Kind[]) {
  Deno.test(`decodeImage() survives ${COUNT} broken ${kind} files`, async () => {
    const before = Deno.memoryUsage().rss;
    using decoding = new Decoding();
    const pictures = PICTURES[kind];
    const pixels = await Promise.all(
      pictures.map(async (picture) => (await decodeImage(picture, kind)).data),
    );
    const counts: Record<string, number> = { picture: 0, SyntaxError: 0, RangeError: 0 };
    const replies: DecodingReply[] = [];
    for (let i = 0; i < COUNT; i++) {
      const how = BREAKAGES[i % BREAKAGES.length]!;
      const place = `${kind} ${i}, ${how}`;
      const whole = pictures[i % pictures.length]!;
      const random = new Random(kind.charCodeAt(0), i);
      const broken = breakFile(whole, STRUCTURES[kind], { how, random });
      const reply = await decoding.decode({ broken, whole });
      assert(typeof reply !== "string", `${place}: ${reply}`);
      assert(Object.hasOwn(counts, reply.outcome), `${place}: ${reply.outcome} ${reply.message}`);
      if (reply.outcome !== "picture") {
        assertMatch(
          reply.message,
          /^Cannot decode image "broken": found .*, expected .*\. .+\.?$/s,
        );
        assert(!/unreachable|memory|undefined|NaN/.test(reply.message), reply.message);
      }
      assertEquals(reply.pixels, pixels[i % pictures.length], `${place}, the picture after it`);
      counts[reply.outcome]! += 1;
      replies.push(reply);
    }
    const slowest = Math.max(...replies.map(({ milliseconds }) => milliseconds));
    const growth = Math.max(...replies.map(({ residentBytes }) => residentBytes)) - before;
    table[kind] = { ...counts, "slowest, ms": Math.round(slowest), "growth, MB": growth / 1e6 | 0 };
    assertLess(growth, MOST_GROWTH_BYTES);
    assert(counts["picture"]! > 0 && counts["SyntaxError"]! > 0, "both happen");
    if (kind === "GIF") console.table(table);
  });
}

Deno.test("decodeImage() decodes as ever after a thousand failures inside the decoder", async () => {
  const before = Deno.memoryUsage().rss;
  const whole = PICTURES.JPEG[1]!;
  const { data } = await decodeImage(whole, "whole");
  const broken = whole.slice();
  broken[broken.findIndex((byte, i) => byte === 0xff && broken[i + 1] === 0xc4) + 5] = 0xff;
  for (let i = 0; i < 1000; i++) {
    await assertRejects(() => decodeImage(broken, "broken"), SyntaxError, "Bogus Huffman");
  }
  assertEquals((await decodeImage(whole, "whole")).data, data);
  assertLess(Deno.memoryUsage().rss - before, MOST_GROWTH_BYTES);
});
