/**
 * Intermediate tensors of a golden model case, and the loss's gradients with respect to them.
 *
 * Golden names are those of nanoVLM's submodules; ours are the recorder's taps. Where a submodule's output is not kept,
 * because the residual is added in the same kernel, it is the difference of the stream after and before.
 */
import { ropeTable } from "../../shaders/rope.ts";
import { imageTokens } from "../../model/inputs.ts";
import type { VLMConfig } from "../../model/config.ts";
import type { SafetensorsFile } from "../../model/safetensors.ts";
import { relativeL2, relativeToMax, selectRows, TOLERANCE } from "./compare.ts";
import type { ModelCase } from "./model_case.ts";
import { firstRows, realRows, type Step } from "./step.ts";

/** Golden parts and their taps; what follows a prefix is the same on both sides. */
const PARTS: ReadonlyArray<readonly [string, string]> = [
  ["lm.inputs_embeds", "inputs_embeds"],
  ["mp.out", "MP"],
  ["mp.", "MP."],
  ["vit.", "vision_encoder."],
  ["lm.", "decoder."],
];

/** Compares every tensor of activations.safetensors, which has the batch's first row. */
export async function compareActivations(
  { report, model }: ModelCase,
  file: SafetensorsFile,
  step: Step,
): Promise<void> {
  const real = realRows(model, firstRows(step.batch, 1)).sequence;
  for (const name of file.tensors.keys()) {
    const point = name.replace(/^(grad)?act\./, "");
    await report.attempt(name, async () => {
      const expected = file.readFloat32(name);
      if (name.startsWith("gradact.")) {
        const found = (await readGradient(step, point)).subarray(0, expected.length);
        report.compare(`${name} (max)`, relativeToMax(found, expected), TOLERANCE.gradientMax);
        report.compare(`${name} (L2)`, relativeL2(found, expected), TOLERANCE.gradientL2);
        return;
      }
      const rotary = point.startsWith("lm.rope.");
      const found = rotary
        ? rotaryTable(model.config, point, imageTokens(model.config) + step.batch.length)
        : (await readValue(step, point)).subarray(0, expected.length);
      const width = file.entry(name).shape.at(-1) ?? 0;
      // What the decoder makes of padding differs between PyTorch's own branches.
      const padded = point.startsWith("lm.") && !rotary;
      const rows = (values: Float32Array) => padded ? selectRows(values, width, real) : values;
      report.compare(name, relativeToMax(rows(found), rows(expected)), TOLERANCE.activation);
    });
  }
}

function tapOf(point: string): string {
  const part = PARTS.find(([golden]) => point.startsWith(golden));
  return part ? part[1] + point.slice(part[0].length) : point;
}

const SUBMODULE = /^(.*\.blocks\.)(\d+)\.(attn|mlp)$/;

async function readValue(step: Step, point: string): Promise<Float32Array> {
  const tap = tapOf(point);
  const [, blocks = "", index = "", submodule] = SUBMODULE.exec(tap) ?? [];
  if (submodule === undefined) return await step.read(tap);
  const block = `${blocks}${index}`;
  if (submodule === "mlp") return await difference(step, block, `${block}.attn + x`);
  const first = blocks.startsWith("decoder.") ? "inputs_embeds" : "vision_encoder.patch_embedding";
  const before = index === "0" ? first : `${blocks}${Number(index) - 1}`;
  return await difference(step, `${block}.attn + x`, before);
}

async function difference(step: Step, after: string, before: string): Promise<Float32Array> {
  const [y, x] = [await step.read(after), await step.read(before)];
  return y.map((value, i) => value - (x[i] ?? NaN));
}

/** An addend's gradient is its sum's. */
async function readGradient(step: Step, point: string): Promise<Float32Array> {
  const tap = tapOf(point);
  const [, blocks = "", index = "", submodule] = SUBMODULE.exec(tap) ?? [];
  if (submodule === undefined) return await step.read(`d${tap}`);
  return await step.read(`d${blocks}${index}${submodule === "attn" ? ".attn + x" : ""}`);
}

/** cos or sin (L, D): nanoVLM's table has both halves of a head, which are equal. */
function rotaryTable(config: VLMConfig, point: string, length: number): Float32Array {
  const width = config.lm_hidden_dim / config.lm_n_heads;
  const half = width / 2;
  const { cos, sin } = ropeTable(length, width, {
    base: config.lm_re_base,
    maxPositions: config.lm_max_position_embeddings,
    scaling: config.lm_attn_scaling,
  });
  const table = point.endsWith(".cos") ? cos : sin;
  return Float32Array.from(
    { length: length * width },
    (_, i) => table[Math.floor(i / width) * half + i % half] ?? NaN,
  );
}
