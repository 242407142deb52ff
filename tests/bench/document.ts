/**
 * The benches' Markdown file: its sections are rewritten, and the plot beside it is drawn.
 */
import { rerated } from "./kernels.ts";
import { type Results, sections, withSections } from "./report.ts";
import type { StepRow } from "./steps.ts";

/** Writes what was measured, rated by the results' peaks. @throws {Error} where the plot or the formatter fails. */
export async function writeDocument(file: string, results: Results): Promise<void> {
  const { header, peaks } = results;
  const rated: Results = {
    ...results,
    kernels: results.kernels.map((row) => rerated(row, peaks)),
    steps: results.steps.map((row) => ({ ...row, share_of_peak: row.gflops / peaks.f32.rate })),
  };
  const dtype = results.steps[0]?.dtype ?? "f32";
  const title = `Training step on ${header.device}, ${dtype}, commit ${header.commit}`;
  const plot = `training_step_${dtype}.svg`;
  const svg = await plotOf(results.steps, title);
  const folder = file.slice(0, file.lastIndexOf("/") + 1);
  if (svg !== undefined) await Deno.writeTextFile(folder + plot, svg);
  const made = sections(rated, svg === undefined ? undefined : plot);
  await Deno.writeTextFile(file, withSections(await Deno.readTextFile(file), made));
  const formatted = await new Deno.Command(Deno.execPath(), { args: ["fmt", "-q", file] }).output();
  if (!formatted.success) throw new Error(`Cannot format ${file}: deno fmt failed`);
}

/** The plot of the training steps, or undefined where fewer than two batch sizes were measured. */
async function plotOf(rows: readonly StepRow[], title: string): Promise<string | undefined> {
  const points = rows.filter(({ step }) => step === "training")
    .map(({ preset, batch, milliseconds }) => ({ preset, batch, seconds: milliseconds / 1e3 }));
  if (new Set(points.map(({ batch }) => batch)).size < 2) return undefined;
  const plot = `${import.meta.dirname}/plot`;
  const args = ["run", "--config", `${plot}/deno.json`, `${plot}/plot.ts`];
  const child = new Deno.Command(Deno.execPath(), { args, stdin: "piped", stdout: "piped" })
    .spawn();
  const input = new Blob([JSON.stringify({ title, points })]).stream();
  const [{ success, stdout }] = await Promise.all([child.output(), input.pipeTo(child.stdin)]);
  if (!success) throw new Error("Cannot plot the steps: tests/bench/plot/plot.ts failed");
  return new TextDecoder().decode(stdout);
}
