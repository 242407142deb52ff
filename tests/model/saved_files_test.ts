// Tests of model/saved_files.ts: a file gets its name when it is whole, and a flipped bit in it is noticed.
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  CheckpointError,
  checksumOf,
  requireIntact,
  writeBeside,
} from "../../model/saved_files.ts";
import { inTemporaryFolder } from "../data/helpers.ts";

Deno.test("writeBeside() gives the CRC-32 of all parts, and requireIntact() notices any other bit", () =>
  inTemporaryFolder(async (folder) => {
    const text = new TextEncoder().encode("123456789");
    const sum = await writeBeside(`${folder}/a`, async (put) => {
      await put(text.subarray(0, 4));
      await put(text.subarray(4));
    });
    assertEquals([sum, checksumOf("123456789")], ["cbf43926", "cbf43926"]); // CRC-32's test value
    requireIntact(folder, { a: sum });
    for (let bit = 0; bit < 8 * text.length; bit++) {
      const flipped = Uint8Array.from(text);
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      await Deno.writeFile(`${folder}/a`, flipped);
      assertThrows(() => requireIntact(folder, { a: sum }), CheckpointError, "as it was saved");
    }
    assertThrows(() => requireIntact(folder, { b: sum }), CheckpointError, "no such file");
  }));

Deno.test("writeBeside() leaves what was there where writing fails", () =>
  inTemporaryFolder(async (folder) => {
    await writeBeside(`${folder}/a`, (put) => put(Uint8Array.of(1)));
    const fail = () => Promise.reject(new Error("full"));
    await assertRejects(() => writeBeside(`${folder}/a`, fail), Error, "full");
    assertEquals([...Deno.readDirSync(folder)].map(({ name }) => name), ["a"]);
    assertEquals(await Deno.readFile(`${folder}/a`), Uint8Array.of(1));
  }));
