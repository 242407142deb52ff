/**
 * A golden checkpoint loaded and saved again: both files must come out byte for byte.
 */
import { differing } from "./compare.ts";
import type { ModelCase } from "./model_case.ts";

/** Saves the model to a temporary folder and compares the files with the golden ones. */
export async function compareRoundTrip({ dir, report, model }: ModelCase): Promise<void> {
  const saved = await Deno.makeTempDir();
  try {
    await model.savePretrained(saved);
    for (const name of ["config.json", "model.safetensors"]) {
      const [found, golden] = [saved, dir].map((folder) => Deno.readFileSync(`${folder}/${name}`));
      if (found && golden) {
        report.compare(`saved ${name}`, differing(found, golden), 0, "bytes that differ");
      }
    }
  } finally {
    await Deno.remove(saved, { recursive: true });
  }
}
