// The device of a command: measured once, then read from the cache; fixed where measuring is off.
import { assertEquals, assertExists } from "@std/assert";
import { openDevice } from "../../commands/device.ts";
import { fixedChoices } from "../../shaders/matmul_choice.ts";
import { testOnGpu } from "../shaders/harness.ts";

/** Runs `test` with a cache folder of its own. */
async function withCache(test: (folder: string) => Promise<void>): Promise<void> {
  const before = Deno.env.get("XDG_CACHE_HOME");
  const folder = await Deno.makeTempDir();
  Deno.env.set("XDG_CACHE_HOME", folder);
  try {
    await test(`${folder}/nanovlm`);
  } finally {
    if (before === undefined) Deno.env.delete("XDG_CACHE_HOME");
    else Deno.env.set("XDG_CACHE_HOME", before);
    await Deno.remove(folder, { recursive: true });
  }
}

testOnGpu("openDevice() measures once and then reads the cache", () =>
  withCache(async (folder) => {
    const measured = await openDevice(true);
    const path = `${folder}/tuning.json`;
    const entries = JSON.parse(await Deno.readTextFile(path));
    const [key] = Object.keys(entries);
    assertExists(key);
    assertEquals(entries[key].matmul, measured.matmulChoices);
    // What the file says is what is taken: another tile than any measuring would find.
    const matmul = { ...entries[key].matmul, some: { kernel: "128x64", slices: 4 } };
    await Deno.writeTextFile(path, JSON.stringify({ [key]: { matmul, dtype: "f32" } }));
    const read = await openDevice(true);
    assertEquals(read.matmulChoices, matmul);
    assertEquals(await read.preferredDtype, "f32");
    measured.destroy();
    read.destroy();
  }));

testOnGpu(
  "openDevice() measures again where the cache is damaged or names no kernel",
  () =>
    withCache(async (folder) => {
      await Deno.mkdir(folder);
      const path = `${folder}/tuning.json`;
      await Deno.writeTextFile(path, '{"half a fi');
      const device = await openDevice(true);
      const entries = JSON.parse(await Deno.readTextFile(path));
      const [key = ""] = Object.keys(entries);
      assertEquals(entries[key].matmul, device.matmulChoices);
      entries[key].matmul.few = { kernel: "8x8", slices: 1 };
      await Deno.writeTextFile(path, JSON.stringify(entries));
      const again = await openDevice(true);
      assertEquals(JSON.parse(await Deno.readTextFile(path))[key].matmul, again.matmulChoices);
      device.destroy();
      again.destroy();
    }),
);

testOnGpu(
  "openDevice() without tuning takes the fixed choice and writes nothing",
  () =>
    withCache(async (folder) => {
      const device = await openDevice(false);
      assertEquals(device.matmulChoices, fixedChoices(device));
      assertEquals(await Deno.stat(folder).catch(() => "absent"), "absent");
      device.destroy();
    }),
);
