/**
 * The folder of a run, and the checkpoints in it: each written beside, put on the disk, and renamed, so that whatever stops
 * the process, every one that has its name is whole, and `latest` names one of them.
 *
 *     DIR/latest          "step-000250"
 *     DIR/step-000250/    a checkpoint: the model, its tokenizer, training_state.safetensors, trainer_state.json
 *     DIR/config.json, DIR/model.safetensors, …   the best model (best_model.ts)
 *     DIR/metrics.jsonl, report.html, examples/, events.out.tfevents.…   (run_log.ts)
 *
 * Under checkpoints.ts. Ours; the order of writes is that of "All File Systems Are Not Created Equal", Pillai et al. 2014.
 */
import { writeBeside } from "../model/saved_files.ts";
import { LATEST, STEP_NAME } from "../model/trainer_state.ts";

const PARTIAL = /\.partial$/;

/** The folder of a run. */
export class RunFolder {
  /** Keeps the newest `keep` checkpoints in the folder `path`. */
  constructor(readonly path: string, readonly keep: number) {}

  /**
   * Goes on from the checkpoint after step `step`, which `latest` names from now on: removes what a process left that was
   * killed while it wrote or removed, old checkpoints too.
   */
  async goOnFrom(step: number): Promise<void> {
    this.#removePartial();
    await this.#point(step);
    const later = this.#steps().filter((other) => other > step);
    this.#prune([...later, ...this.#newest(step)]);
  }

  #removePartial(): void {
    for (const { name } of [...Deno.readDirSync(this.path)]) {
      if (PARTIAL.test(name)) Deno.removeSync(`${this.path}/${name}`, { recursive: true });
    }
  }

  /** Removes the checkpoints and the best model of a run before, where a new one begins: nothing passes for the new one's. */
  clear(): void {
    this.#removePartial();
    const names = [...Deno.readDirSync(this.path)].map(({ name }) => name);
    // First the name, so that it never stands for a checkpoint that is half gone.
    for (const name of [LATEST, "model.safetensors", "config.json"]) {
      if (names.includes(name)) Deno.removeSync(`${this.path}/${name}`);
    }
    this.#prune([]);
  }

  /**
   * Writes the checkpoint after step `step` and removes old ones.
   *
   * @param fill puts the files into a folder, each of them on the disk when it is done
   * @returns the checkpoint's folder
   * @throws {Error} where it cannot be written; those before stay
   */
  async write(step: number, fill: (folder: string) => Promise<void>): Promise<string> {
    const name = nameOf(step);
    const beside = `${this.path}/.${name}.partial`;
    try {
      await Deno.mkdir(beside);
      await fill(beside);
      await syncFolder(beside);
      await remove(`${this.path}/${name}`); // `latest` names an earlier one
      await Deno.rename(beside, `${this.path}/${name}`);
      await syncFolder(this.path);
      await this.#point(step);
    } catch (error) {
      await remove(beside).catch(() => {}); // the next start does it
      throw error;
    }
    this.#prune(this.#newest(step));
    return `${this.path}/${name}`;
  }

  async #point(step: number): Promise<void> {
    const text = new TextEncoder().encode(`${nameOf(step)}\n`);
    await writeBeside(`${this.path}/${LATEST}`, (put) => put(text));
    await syncFolder(this.path);
  }

  /** The folder of the checkpoint after step `step`. */
  pathOf(step: number): string {
    return `${this.path}/${nameOf(step)}`;
  }

  /** The steps of the checkpoints to keep, up to `step`. */
  #newest(step: number): number[] {
    const steps = this.#steps().filter((other) => other <= step);
    return steps.sort((a, b) => b - a).slice(0, this.keep);
  }

  #steps(): number[] {
    const names = [...Deno.readDirSync(this.path)].map(({ name }) => STEP_NAME.exec(name)?.[1]);
    return names.flatMap((digits) => digits === undefined ? [] : [Number(digits)]);
  }

  #prune(kept: readonly number[]): void {
    for (const { name } of [...Deno.readDirSync(this.path)]) {
      const [, digits] = STEP_NAME.exec(name) ?? [];
      if (digits === undefined || kept.includes(Number(digits))) continue;
      // Under its name only while it is whole.
      const beside = `${this.path}/.${name}.partial`;
      Deno.renameSync(`${this.path}/${name}`, beside);
      Deno.removeSync(beside, { recursive: true });
    }
  }
}

function nameOf(step: number): string {
  return `step-${String(step).padStart(6, "0")}`;
}

async function remove(path: string): Promise<void> {
  try {
    await Deno.remove(path, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** Puts the names in a folder on the disk; Windows does that by itself. */
async function syncFolder(path: string): Promise<void> {
  if (Deno.build.os === "windows") return;
  using folder = await Deno.open(path);
  await folder.sync();
}
