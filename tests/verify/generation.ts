/**
 * Greedy answers of a golden model case, token by token.
 */
import { Generator } from "../../model/generator.ts";
import type { HostBatch } from "../../model/inputs.ts";
import { differing } from "./compare.ts";
import { Json, withFile } from "./golden.ts";
import type { ModelCase } from "./model_case.ts";

/** Compares every entry of generate.json. */
export async function compareGeneration({ dir, report, model }: ModelCase): Promise<void> {
  const generator = new Generator(model);
  await eachPrompt(dir, (name, entry, batch) =>
    report.attempt(`generate ${name}`, async () => {
      const maxNewTokens = entry.get("max_new_tokens").number;
      const tokens = await generator.generate(batch, { maxNewTokens, mode: "greedy" });
      const wrong = differing(tokens.flat(), entry.get("tokens").matrix.flat());
      report.compare(`generate ${name}`, wrong, 0, "tokens that differ");
    }));
  generator.destroy();
}

/** Lets `use` see every entry of a case's generate.json, with its prompt as a batch. */
export async function eachPrompt(
  dir: string,
  use: (name: string, entry: Json, batch: HostBatch) => Promise<void>,
): Promise<void> {
  await withFile(`${dir}/generate_images.safetensors`, async (file) => {
    const images = file.readFloat32("images");
    const imageLength = images.length / (file.entry("images").shape[0] ?? 0);
    for (const [name, entry] of Json.read(`${dir}/generate.json`).entries) {
      if (typeof entry.value === "string") continue; // a remark
      const chosen = entry.get("image_index_in_images").numbers
        .map((i) => images.slice(i * imageLength, (i + 1) * imageLength));
      await use(name, entry, batchOf(entry, chosen));
    }
  });
}

function batchOf(entry: Json, images: readonly Float32Array[]): HostBatch {
  const ids = entry.get("input_ids").matrix;
  const mask = entry.find("attention_mask")?.matrix ?? ids.map((row) => row.map(() => 1));
  return {
    size: ids.length,
    length: ids[0]?.length ?? 0,
    inputIds: Int32Array.from(ids.flat()),
    attentionMask: Int32Array.from(mask.flat()),
    images: Float32Array.from(images.flatMap((image) => [...image])),
  };
}
