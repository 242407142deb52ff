/** Tests of the verification: golden folders come out ok, and whatever is changed in them comes out as FAIL. */
import {
  assert,
  assertEquals,
  assertGreater,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import { presets } from "../model/config.ts";
import { openSafetensors } from "../model/safetensors.ts";
import { Device, DeviceError } from "../shaders/runtime/device.ts";
import { comparable, relativeToMax } from "./verify/compare.ts";
import { hashedBatch, hashedWeights } from "./verify/hash_rules.ts";
import type { Result, Totals } from "./verify/report.ts";
import { main } from "./verify.ts";

const GOLDEN = new URL("golden/", import.meta.url).pathname;
const NO_GPU = await reasonAgainstGpu();
if (NO_GPU) console.log(`tests that verify model cases are skipped: ${NO_GPU}`);

async function reasonAgainstGpu(): Promise<string | undefined> {
  try {
    (await Device.open()).destroy();
  } catch (error) {
    if (!(error instanceof DeviceError)) throw error;
    return error.message;
  }
}

interface Run {
  status: number;
  out: string;
  error: string;
}

async function run(...args: string[]): Promise<Run> {
  const texts = { out: "", error: "" };
  const status = await main(args, {
    out: (text) => texts.out += text,
    error: (text) => texts.error += text,
  });
  return { status, ...texts };
}

async function runJson(...args: string[]) {
  const { status, out, error } = await run("--json", ...args);
  assertEquals(error, "");
  const { results, totals }: { results: Result[]; totals: Totals } = JSON.parse(out);
  const failed = results.filter((result) => result.status === "FAIL");
  return { status, results, totals, failed };
}

/** Lets `use` change a copy of some files of a golden folder. */
async function withCopy(
  from: string,
  names: readonly string[],
  use: (dir: string) => Promise<void>,
): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    for (const name of names) Deno.writeFileSync(`${dir}/${name}`, readGolden(`${from}/${name}`));
    await use(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

function readGolden(name: string): Uint8Array {
  return Deno.readFileSync(`${GOLDEN}${name}`);
}

/** Adds `change` to element `i` of an F32 tensor, in the file itself. */
function perturb(path: string, name: string, i: number, change: number): void {
  using file = openSafetensors(path);
  const bytes = Deno.readFileSync(path);
  const view = new DataView(bytes.buffer);
  const at = 8 + Number(view.getBigUint64(0, true)) + file.entry(name).offsets[0] + 4 * i;
  view.setFloat32(at, view.getFloat32(at, true) + change, true);
  Deno.writeFileSync(path, bytes);
}

function cutInHalf(path: string): void {
  const bytes = Deno.readFileSync(path);
  Deno.writeFileSync(path, bytes.subarray(0, bytes.length >> 1));
}

function testOnGpu(name: string, fn: () => Promise<void>): void {
  Deno.test({ name: NO_GPU ? `${name} (no GPU)` : name, ignore: NO_GPU !== undefined, fn });
}

testOnGpu("verify finds every quantity of the golden model case ok", async () => {
  const { status, results, totals, failed } = await runJson(`${GOLDEN}v01_a`);
  assertEquals(failed, []);
  assertEquals([status, totals.skipped], [0, 0]);
  const quantities = new Map(results.map((result) => [result.quantity, result]));
  assertEquals(quantities.size, results.length);
  using outputs = openSafetensors(`${GOLDEN}v01_a/outputs.safetensors`);
  using activations = openSafetensors(`${GOLDEN}v01_a/activations.safetensors`);
  using variants = openSafetensors(`${GOLDEN}v01_a/variants.safetensors`);
  for (const name of [...outputs.tensors.keys(), ...activations.tensors.keys()]) {
    const parts = name.startsWith("grad") ? [`${name} (max)`, `${name} (L2)`] : [name];
    for (const part of parts) assert(quantities.has(part), part);
  }
  const others = [
    ...variants.tensors.keys(),
    "learning rates",
    "training losses, first 6",
    "training losses",
    "training gradient norms",
    "final decoder.token_embedding.weight",
    "generate single",
    "generate batch_left_padded_without_mask",
    "saved config.json",
    "saved model.safetensors",
  ];
  for (const name of others) assert(quantities.has(name), name);
  assertGreater(quantities.get("logits")?.deviation ?? 0, 0);
});

const MODEL = ["config.json", "inputs.safetensors", "outputs.safetensors", "model.safetensors"];

testOnGpu("verify fails on a changed weight", async () => {
  await withCopy("v01_a", MODEL, async (dir) => {
    perturb(`${dir}/model.safetensors`, "MP.proj.weight", 5, 0.01);
    const { status, failed, results } = await runJson(dir);
    assertEquals(status, 1);
    const names = failed.map((result) => result.quantity);
    for (const name of ["projector_out", "hidden", "logits", "loss", "token_loss"]) {
      assert(names.includes(name), name);
    }
    assertEquals(results.find(({ quantity }) => quantity === "vision_out")?.status, "ok");
  });
});

testOnGpu("verify fails on changed outputs, and on those only", async () => {
  await withCopy("v01_a", MODEL, async (dir) => {
    const path = `${dir}/outputs.safetensors`;
    perturb(path, "grad.decoder.norm.weight", 3, 0.01);
    perturb(path, "hidden", 3, NaN); // an image row
    const { status, failed } = await runJson(dir);
    assertEquals(status, 1);
    const names = failed.map((result) => result.quantity);
    assertEquals(names, [
      "hidden",
      "grad.decoder.norm.weight (max)",
      "grad.decoder.norm.weight (L2)",
    ]);
  });
});

testOnGpu("verify names damaged files of a model case and compares the rest", async () => {
  const damaged = ["activations.safetensors", "variants.safetensors", "train.json"];
  const whole = ["train_batches.safetensors", "generate.json", "generate_images.safetensors"];
  await withCopy("v01_a", [...MODEL, ...damaged, ...whole], async (dir) => {
    for (const name of damaged) cutInHalf(`${dir}/${name}`);
    const generate = Deno.readTextFileSync(`${dir}/generate.json`);
    Deno.writeTextFileSync(`${dir}/generate.json`, generate.replace(/"tokens": \[\s*\[/, "$& 7,"));
    const { status, failed, results } = await runJson(dir);
    assertEquals(status, 1);
    assertEquals(failed.map(({ quantity }) => quantity), [...damaged, "generate single"]);
    failed.slice(0, 3).forEach(({ note }, i) => assertStringIncludes(note ?? "", damaged[i]!));
    const ok = results.filter((result) => result.status === "ok").map(({ quantity }) => quantity);
    for (const name of ["logits", "generate batch_left_padded", "saved model.safetensors"]) {
      assert(ok.includes(name), name);
    }
  });
});

testOnGpu(
  "verify fails on a missing file whose companion is there, and compares the rest",
  async () => {
    const pairs = ["train.json", "generate.json"];
    await withCopy("v01_a", [...MODEL, ...pairs], async (dir) => {
      const { status, failed, results } = await runJson(dir);
      assertEquals(status, 1);
      assertEquals(failed.map(({ quantity }) => quantity), pairs);
      assertStringIncludes(failed[0]?.note ?? "", "train_batches.safetensors");
      assertStringIncludes(failed[1]?.note ?? "", "generate_images.safetensors");
      assert(results.some(({ quantity, status }) => quantity === "logits" && status === "ok"));
    });
    for (const missing of ["model.safetensors", "inputs.safetensors"]) {
      await withCopy("v01_a", MODEL.filter((name) => name !== missing), async (dir) => {
        const { status, failed } = await runJson(dir, `${GOLDEN}tables`);
        assertEquals([status, failed.length], [1, 1]);
        assertStringIncludes(failed[0]?.note ?? "", missing);
      });
    }
  },
);

testOnGpu("answers do not change where the context ends inside the cache's last step", async () => {
  await withCopy(
    "v01_a",
    [...MODEL, "generate.json", "generate_images.safetensors"],
    async (dir) => {
      const config = JSON.parse(Deno.readTextFileSync(`${dir}/config.json`));
      const shorter = { ...config, lm_max_position_embeddings: 60 }; // 58 are needed, 64 cached
      Deno.writeTextFileSync(`${dir}/config.json`, JSON.stringify(shorter));
      const { results } = await runJson(dir);
      const answers = results.filter(({ quantity }) => quantity.startsWith("generate "));
      assertEquals(answers.map(({ status }) => status), ["ok", "ok", "ok", "ok"]);
    },
  );
});

Deno.test("verify finds backbones, pictures and tables ok", async () => {
  const dirs = ["backbone_v01", "data/images", "data", "tables"].map((name) => GOLDEN + name);
  const { status, totals, failed } = await runJson(...dirs);
  assertEquals(failed, []);
  assertEquals([status, totals.skipped], [0, 0]);
  // 49 tensors, configuration and coverage; 7 decoded and 7 resized; 12 batches and the choices; 8 tables of rates
  assertEquals(totals.ok, 49 + 2 + 7 + 7 + 12 + 1 + 8);
});

Deno.test("verify fails on changed tables and names damaged ones", async () => {
  const names = ["collator_v01.json", "multiple_choice_v01.json"];
  await withCopy("data", names, async (dir) => {
    Deno.copyFileSync(`${GOLDEN}tables/get_lr_v01.json`, `${dir}/get_lr_v01.json`);
    const edit = (name: string, from: string | RegExp, to: string) => {
      const text = Deno.readTextFileSync(`${dir}/${name}`);
      assert(text.search(from) >= 0, name);
      Deno.writeTextFileSync(`${dir}/${name}`, text.replace(from, to));
    };
    edit("multiple_choice_v01.json", /"match": true/, '"match": false');
    edit("get_lr_v01.json", /0\.0033333333333333335/, "0.00333333333");
    cutInHalf(`${dir}/collator_v01.json`);
    const { status, out } = await run(dir);
    assertEquals(status, 1);
    const lines = out.split("\n").filter((line) => line.startsWith("FAIL"));
    assertEquals(lines.length, 3);
    assertMatch(lines[0]!, /collator_v01\.json: Cannot read ".*collator_v01\.json"/);
    assertMatch(lines[1]!, /get_lr_v01\.json \[0\]: deviation 1\.00e-9, tolerance 1\.00e-12/);
    assertMatch(lines[2]!, /multiple_choice_v01\.json: deviation 1, tolerance 0/);
    assertStringIncludes(out, "total: 3 ok, 3 FAIL, 0 skipped\n");
  });
});

Deno.test("verify fails on a changed pixel", async () => {
  const names = ["decoded_rgb.safetensors", "v01_resize_64.safetensors", "1_gray.png"];
  await withCopy("data/images", names, async (dir) => {
    const path = `${dir}/decoded_rgb.safetensors`;
    using file = openSafetensors(path);
    const bytes = Deno.readFileSync(path);
    const start = Number(new DataView(bytes.buffer).getBigUint64(0, true)) + 8;
    for (let i = 0; i < 30; i++) bytes[start + file.entry("1_gray.png").offsets[0] + i]! ^= 64;
    Deno.writeFileSync(path, bytes);
    const { failed } = await runJson(dir);
    const quantities = failed.map(({ quantity }) => quantity);
    assert(quantities.includes("decoding 1_gray.png"));
    assert(quantities.includes("v01_resize_64.safetensors 1_gray.png"));
    assert(quantities.includes("decoding 0_rgb.png"), "its file is missing");
    assert(!quantities.includes("v01_resize_64.safetensors 0_rgb.png"));
  });
});

Deno.test("verify skips later versions of nanoVLM, which --strict counts as failed", async () => {
  await withCopy("v01_a", MODEL, async (dir) => {
    const config = JSON.parse(Deno.readTextFileSync(`${dir}/config.json`));
    Deno.writeTextFileSync(
      `${dir}/config.json`,
      JSON.stringify({ ...config, vlm_extra_tokens: {} }),
    );
    const { status, out } = await run(dir);
    assertEquals(status, 0);
    assertMatch(out, /^skipped .* model: .* later than v0\.1.*\ntotal: 0 ok, 0 FAIL, 1 skipped\n$/);
    assertEquals((await run(dir, "--strict")).status, 1);
  });
  await withCopy("tables", ["get_lr_v01.json"], async (dir) => {
    assertEquals((await run(dir, "--strict")).status, 0);
    Deno.writeTextFileSync(`${dir}/collator_head.json`, "{}");
    assertEquals((await run(dir)).status, 0);
    const { status, out } = await run(dir, "--strict");
    assertEquals(status, 1);
    assertStringIncludes(out, "total: 4 ok, 0 FAIL, 1 skipped");
  });
});

Deno.test("verify passes over files that a shell's * names beside folders, but not over nothing else", async () => {
  const readme = new URL("../README.md", import.meta.url).pathname;
  const beside = await run(readme, `${GOLDEN}tables`);
  assertEquals(beside.status, 0);
  assertStringIncludes(beside.error, "Passing over");
  assertEquals((await run(readme)).status, 1);
});

Deno.test("verify says what it cannot do, and its help", async () => {
  const empty = await Deno.makeTempDir();
  const cases: [string[], number, string][] = [
    [[], 2, "no folder"],
    [["--loud", `${GOLDEN}tables`], 2, '"--loud"'],
    [[`${GOLDEN}nothing`], 1, `Cannot verify "${GOLDEN}nothing"`],
    [[`${GOLDEN}tables`, empty], 1, `Cannot verify "${empty}": no golden files`],
  ];
  for (const [args, status, message] of cases) {
    const found = await run(...args);
    assertEquals([found.status, found.out], [status, ""]);
    assertStringIncludes(found.error, message);
    assertEquals(found.error.trimEnd().split("\n").length, 1);
  }
  await Deno.remove(empty);
  const { status, out } = await run("--help");
  assertEquals(status, 0);
  assertStringIncludes(out, "deno task verify DIR... [--json] [--strict]");
});

Deno.test("hashed weights and inputs are those of the golden 222M case", () => {
  const golden: [string, number[], number[]][] = [
    [
      "vision_encoder.patch_embedding.position_embedding",
      [1, 1, 4],
      [-0.08421611785888672, 0.4595499038696289, -0.19337117671966553, -0.4460659623146057],
    ],
    ["decoder.token_embedding.weight", [2, 1], [0.05266419053077698, -0.04099288582801819]],
    ["vision_encoder.blocks.0.ln1.bias", [2], [-0.10923027992248535, 0.11945952475070953]],
    ["decoder.norm.weight", [2], [1.019759178161621, 1.0732901096343994]],
  ];
  for (const [name, shape, values] of golden) {
    assertEquals([...hashedWeights({ name, shape })], values, name);
  }
  const projector = hashedWeights({ name: "MP.proj.weight", shape: [1, 3072] });
  assertEquals([...projector.subarray(0, 2)], [0.021930262446403503, -0.02569626271724701]);
  const batch = hashedBatch(presets["222m"].vlm, 2, 79);
  assertEquals([...batch.images.subarray(0, 2)], [0.5686274766921997, 0.9882352948188782]);
  assertEquals([...batch.inputIds.subarray(79 + 19, 79 + 22)], [0, 16458, 48176]);
  assertEquals([...batch.labels!.subarray(38, 42)], [-100, -100, 29404, 43976]);
  assertEquals([...batch.labels!.subarray(-2)], [26420, -100]);
});

Deno.test("relativeToMax() gives NaN for NaN and infinity beside a golden zero", () => {
  assertEquals(relativeToMax([1, 2], [1, 4]), 0.5);
  assertEquals(relativeToMax([1, NaN, 3], [1, 2, 3]), NaN);
  assertEquals(relativeToMax([1, 2, 3], [1, NaN, 3]), NaN);
  assertEquals([relativeToMax([0], [0]), relativeToMax([1e-30], [0])], [0, Infinity]);
});

Deno.test("comparable() leaves out the key third of a qkv bias", () => {
  const values = Float32Array.of(1, 2, 3, 4, 5, 6);
  assertEquals(comparable("a.attn.qkv_proj.bias", values), Float32Array.of(1, 2, 5, 6));
  assertEquals(comparable("a.attn.qkv_proj.weight", values), values);
});
