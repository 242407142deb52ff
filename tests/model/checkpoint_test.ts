// Tests of model/checkpoint.ts: checkpoints of PyTorch's nanoVLM read and written again, and wrong ones.
import {
  assert,
  assertEquals,
  assertNotEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import {
  CheckpointError,
  expectedParameters,
  openCheckpoint,
  rotaryFrequencies,
  saveCheckpoint,
} from "../../model/checkpoint.ts";
import { presets, type VLMConfig } from "../../model/config.ts";
import { formatVLMConfig } from "../../model/config_file.ts";
import { openSafetensors, writeSafetensors } from "../../model/safetensors.ts";

const GOLDEN = new URL("../golden/", import.meta.url).pathname;
const SHARED = new URL("../../../shared/golden/", import.meta.url).pathname;
const EMBEDDING = "decoder.token_embedding.weight";
const HEAD = "decoder.head.weight";

async function inFolder(use: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    await use(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** The preset quickstart, smaller; weights that all differ. */
const SMALL: VLMConfig = { ...presets.quickstart.vlm, vit_n_blocks: 1, lm_n_blocks: 1 };
const UNTIED: VLMConfig = { ...SMALL, lm_tie_weights: false };
const numbered = (config: VLMConfig) => (name: string) => {
  const parameters = expectedParameters(config);
  const index = parameters.findIndex((parameter) => parameter.name === name);
  const count = parameters[index]!.shape.reduce((a, b) => a * b, 1);
  return Float32Array.from({ length: count }, (_, i) => index + i / count);
};

for (const [name, folder] of [["v01_a", GOLDEN], ["backbone_v01", GOLDEN], ["v01_b", SHARED]]) {
  const dir = `${folder}${name}`;
  const ignore = !isFolder(dir);
  if (ignore) console.log(`Skipped: reading ${name}, since there is no ${dir}.`);
  Deno.test({
    name: `saveCheckpoint() writes nanoVLM's ${name} byte for byte from what openCheckpoint() read`,
    ignore,
    fn: () =>
      inFolder(async (copy) => {
        using checkpoint = openCheckpoint(dir);
        await saveCheckpoint(`${copy}/new/folder`, checkpoint.config, checkpoint.load);
        for (const file of ["config.json", "model.safetensors"]) {
          assertEquals(
            Deno.readFileSync(`${copy}/new/folder/${file}`),
            Deno.readFileSync(`${dir}/${file}`),
          );
        }
        assertEquals([...Deno.readDirSync(`${copy}/new/folder`)].length, 2);
      }),
  });
}

function isFolder(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch {
    return false;
  }
}

Deno.test("expectedParameters() has the names of nanoVLM's file, tied weights as the embedding", () => {
  using checkpoint = openCheckpoint(`${GOLDEN}v01_a`);
  using file = openSafetensors(`${GOLDEN}v01_a/model.safetensors`);
  const names = expectedParameters(checkpoint.config).map(({ name }) => name);
  const inFile = [...file.tensors.keys()].map((name) => name === HEAD ? EMBEDDING : name)
    .filter((name) => name !== "decoder.rotary_embd.inv_freq");
  assertEquals(names.toSorted(), inFile.toSorted());
  assertEquals(names[0], "vision_encoder.patch_embedding.position_embedding");
  assertEquals(names.at(-1), "MP.proj.weight");
});

Deno.test("expectedParameters() of nanoVLM's own configuration has 222,081,600 numbers", () => {
  const count = expectedParameters(presets["222m"].vlm)
    .reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
  assertEquals(count, 222_081_600);
});

Deno.test("expectedParameters() has a head of its own only when it is untied", () => {
  const names = (config: VLMConfig) => expectedParameters(config).map(({ name }) => name);
  assert(!names(SMALL).includes(HEAD));
  assertEquals(names(UNTIED).filter((name) => !names(SMALL).includes(name)), [HEAD]);
});

Deno.test("load() gives tied weights whichever of the two names the file has", async () => {
  for (const kept of [[HEAD], [EMBEDDING], [HEAD, EMBEDDING]]) {
    await inFolder(async (dir) => {
      const load = numbered(SMALL);
      const tensors = expectedParameters(SMALL).flatMap(({ name, shape }) =>
        (name === EMBEDDING ? kept : [name]).map((as) => ({ name: as, shape, data: load(name) }))
      );
      await writeSafetensors(`${dir}/model.safetensors`, tensors);
      Deno.writeTextFileSync(`${dir}/config.json`, formatVLMConfig(SMALL));
      using checkpoint = openCheckpoint(dir);
      assertEquals(checkpoint.load(EMBEDDING), load(EMBEDDING));
    });
  }
});

Deno.test("untied weights are saved and loaded as two tensors", async () => {
  await inFolder(async (dir) => {
    await saveCheckpoint(dir, UNTIED, numbered(UNTIED));
    using checkpoint = openCheckpoint(dir);
    assertEquals(checkpoint.config, UNTIED);
    assertEquals(checkpoint.load(HEAD), numbered(UNTIED)(HEAD));
    assertEquals(checkpoint.load(EMBEDDING), numbered(UNTIED)(EMBEDDING));
    assertNotEquals(checkpoint.load(HEAD), checkpoint.load(EMBEDDING));
  });
});

Deno.test("openCheckpoint() lists missing, unexpected and misshapen tensors", async () => {
  await inFolder(async (dir) => {
    await saveCheckpoint(dir, SMALL, numbered(SMALL));
    const other = { ...SMALL, lm_inter_dim: 96, vit_n_blocks: 0, lm_n_blocks: 2 };
    Deno.writeTextFileSync(`${dir}/config.json`, formatVLMConfig(other));
    const { message } = assertThrows(() => openCheckpoint(dir), CheckpointError);
    assertStringIncludes(message, `"decoder.blocks.0.mlp.up_proj.weight" is [192, 64] instead of`);
    assertStringIncludes(
      message,
      `"decoder.blocks.0.mlp.down_proj.weight" is [64, 192] instead of`,
    );
    assertStringIncludes(message, `"decoder.blocks.1.mlp.gate_proj.weight" is missing`);
    assertEquals(message.match(/" is /g)?.length, 8);
    assertStringIncludes(message, `and ${3 + 9 + 12 - 8} more`);
    const fewer = { ...SMALL, lm_n_blocks: 0 };
    Deno.writeTextFileSync(`${dir}/config.json`, formatVLMConfig(fewer));
    assertThrows(() => openCheckpoint(dir), CheckpointError, `norm1.weight" is unexpected`);
    assertStringIncludes(message, dir);
  });
});

Deno.test("openCheckpoint() refuses parameters of whole numbers and other rotary frequencies", async () => {
  await inFolder(async (dir) => {
    await saveCheckpoint(dir, SMALL, numbered(SMALL));
    const path = `${dir}/model.safetensors`;
    const bytes = Deno.readFileSync(path);
    const text = new TextDecoder("latin1").decode(bytes.subarray(0, 12000));
    const at = text.indexOf(`"MP.proj.weight":{"dtype":"F32"`) +
      `"MP.proj.weight":{"dtype":"`.length;
    bytes.set(new TextEncoder().encode("I32"), at);
    Deno.writeFileSync(path, bytes);
    assertThrows(() => openCheckpoint(dir), CheckpointError, `"MP.proj.weight" is I32`);

    await saveCheckpoint(dir, SMALL, numbered(SMALL));
    Deno.writeTextFileSync(`${dir}/config.json`, formatVLMConfig({ ...SMALL, lm_re_base: 10000 }));
    assertThrows(() => openCheckpoint(dir), CheckpointError, "lm_re_base");
  });
});

Deno.test("openCheckpoint() throws for files that are missing or damaged", async () => {
  await inFolder(async (dir) => {
    assertThrows(() => openCheckpoint(dir), Deno.errors.NotFound);
    await saveCheckpoint(dir, SMALL, numbered(SMALL));
    Deno.removeSync(`${dir}/model.safetensors`);
    assertThrows(() => openCheckpoint(dir), Deno.errors.NotFound);
    Deno.writeTextFileSync(`${dir}/model.safetensors`, "<!DOCTYPE html>");
    assertThrows(() => openCheckpoint(dir), CheckpointError, "for it is an HTML page");
    Deno.writeTextFileSync(`${dir}/config.json`, '{"vit_hidden_dim": ');
    assertThrows(() => openCheckpoint(dir), SyntaxError, "config.json");
    Deno.writeTextFileSync(`${dir}/config.json`, "version https://git-lfs.github.com/spec/v1\n");
    assertThrows(() => openCheckpoint(dir), SyntaxError, "a pointer to a file in Git LFS");
  });
});

/** Writes `tensors` as BF16 or F16. */
function writeHalf(path: string, dtype: "BF16" | "F16"): void {
  using file = openSafetensors(path);
  const header: Record<string, unknown> = { __metadata__: null };
  const parts: Uint8Array[] = [];
  let position = 0;
  for (const [name, { shape }] of file.tensors) {
    const values = file.readFloat32(name);
    const half = dtype === "F16"
      ? new Float16Array(values)
      : new Uint16Array(new Uint32Array(values.buffer).map((bits) => (bits + 0x8000) >>> 16));
    parts.push(new Uint8Array(half.buffer));
    header[name] = { dtype, shape, data_offsets: [position, position += half.byteLength] };
  }
  const json = new TextEncoder().encode(JSON.stringify(header));
  const length = new Uint8Array(new BigUint64Array([BigInt(json.length)]).buffer);
  Deno.writeFileSync(path, Uint8Array.from([length, json, ...parts].flatMap((part) => [...part])));
}

for (const dtype of ["BF16", "F16"] as const) {
  Deno.test(`openCheckpoint() takes a model all in ${dtype}, and computes its frequencies anew`, async () => {
    await inFolder(async (dir) => {
      await saveCheckpoint(dir, SMALL, numbered(SMALL));
      writeHalf(`${dir}/model.safetensors`, dtype);
      using checkpoint = openCheckpoint(dir);
      assertEquals(checkpoint.frequencies, rotaryFrequencies(SMALL));
      checkpoint.load(HEAD);
      Deno.writeTextFileSync(
        `${dir}/config.json`,
        formatVLMConfig({ ...SMALL, lm_re_base: 120000 }),
      );
      assertThrows(() => openCheckpoint(dir), CheckpointError, "lm_re_base");
    });
  });
}

Deno.test("load() names a tensor that has a number which is not finite", async () => {
  for (const value of [NaN, Infinity, -Infinity]) {
    await inFolder(async (dir) => {
      const load = numbered(SMALL);
      await saveCheckpoint(
        dir,
        SMALL,
        (name) => name === "MP.proj.weight" ? load(name).fill(value, 7, 8) : load(name),
      );
      using checkpoint = openCheckpoint(dir);
      const expected = `"MP.proj.weight" has ${value} at element 7`;
      assertThrows(() => checkpoint.load("MP.proj.weight"), CheckpointError, expected);
    });
  }
});

Deno.test("openCheckpoint() refuses sizes that no model has, at once and in a few lines", async () => {
  await inFolder(async (dir) => {
    await saveCheckpoint(dir, SMALL, numbered(SMALL));
    const sizes: [Record<string, unknown>, string][] = [
      [{ lm_n_blocks: 1e9 }, "lm_n_blocks"],
      [{ vit_n_blocks: 1e5 }, "vit_n_blocks"],
      [{ vit_n_blocks: 1000, lm_n_blocks: 1000 }, "more"],
      [{ lm_vocab_size: 1e12 }, "lm_vocab_size"],
      [{ lm_vocab_size: 1e7 }, "token_embedding"],
      [{ lm_hidden_dim: 2 ** 40 }, "lm_hidden_dim"],
      [{ vit_img_size: 1e9 }, "vit_img_size"],
      [{ ["x".repeat(1e6)]: 1 }, "unknown"],
      [{ lm_tokenizer: Array(1e6).fill("x") }, "lm_tokenizer"],
      [Object.fromEntries(Array.from({ length: 1e5 }, (_, i) => [`key_${i}`, 1])), "unknown"],
    ];
    for (const [size, named] of sizes) {
      Deno.writeTextFileSync(`${dir}/config.json`, JSON.stringify({ ...SMALL, ...size }));
      const start = performance.now();
      const { message } = assertThrows(() => openCheckpoint(dir), Error, named);
      assert(message.length < 1500 && performance.now() - start < 2000, message.slice(0, 2000));
    }
  });
});

Deno.test("load() throws for a name that is no parameter", () => {
  using checkpoint = openCheckpoint(`${GOLDEN}v01_a`);
  assertThrows(() => checkpoint.load("decoder.bias"), CheckpointError, '"decoder.bias"');
});

Deno.test("saveCheckpoint() that fails half-way leaves the old checkpoint readable", async () => {
  await inFolder(async (dir) => {
    await saveCheckpoint(dir, SMALL, numbered(SMALL));
    const broken = (name: string) =>
      name.startsWith("vision") ? new Float32Array(1) : numbered(SMALL)(name);
    await assertRejects(() => saveCheckpoint(dir, SMALL, broken), RangeError, "has 1 elements");
    using checkpoint = openCheckpoint(dir);
    assertEquals(checkpoint.load("MP.proj.weight"), numbered(SMALL)("MP.proj.weight"));
    assertEquals([...Deno.readDirSync(dir)].length, 2);
  });
});

Deno.test("rotaryFrequencies() equals the buffer in nanoVLM's file bit for bit", () => {
  using checkpoint = openCheckpoint(`${GOLDEN}v01_a`);
  using file = openSafetensors(`${GOLDEN}v01_a/model.safetensors`);
  const frequencies = rotaryFrequencies(checkpoint.config);
  assertEquals(frequencies, file.readFloat32("decoder.rotary_embd.inv_freq"));
  assertEquals(checkpoint.frequencies, frequencies);
});
